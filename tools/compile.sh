# build: libtracker, affiliated, and the nginx module in one of its shapes.

. tools/deps.sh

NGINX_SOURCE_PACKAGE=/usr/share/nginx/src # of Debian's nginx-dev
SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

build() {
    local static= san= source=
    while [ $# -gt 0 ]; do
        case $1 in
            --static)     static=1 ;;
            --san)        san=san static=1 ;;
            --palloc)     san=palloc static=1 ;;
            --with-nginx) need_value "$@"; source=$2; shift ;;
            *)            die "build: unknown option: $1" ;;
        esac
        shift
    done

    deps_ensure run
    build_programs
    if [ -n "$static" ]; then
        [ -n "$source" ] || { nginx_source; source=$NGINX_SOURCE; }
        build_nginx "$source" static "$san"
    elif [ -n "$source" ]; then
        build_nginx "$source" dynamic ""
    else
        build_module
    fi
}

build_core() {
    make -s -j2 -C tracker-core O=../build/core lib
}

build_programs() {
    mkdir -p "$BUILD"
    build_tool supervise
    build_core
    make -s -j2 -C admin-backend O=../build/admin all
    ln -sfn admin/affiliated "$BUILD/affiliated"
}

# build_tool NAME [LIBRARY...]: a program of one file in tools/.
build_tool() {
    local name=$1
    shift
    if [ ! "$BUILD/$name" -nt "tools/$name.c" ]; then
        gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Werror -o "$BUILD/$name" "tools/$name.c" "$@"
    fi
}

nginx_version_of() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h"
}

# The module as Debian's nginx loads it: its own configure flags, so that the signatures match.  -O3 saves 3 % of a
# click's instructions, calls among our own functions without a detour by the PLT another (bench click).
build_module() {
    local version folder
    version=$(nginx_version_of "$NGINX_SOURCE_PACKAGE")
    folder=$BUILD/nginx-$version
    (
        . "$NGINX_SOURCE_PACKAGE/conf_flags"
        cd "$NGINX_SOURCE_PACKAGE"
        configure_once "$folder" ./configure "${NGX_CONF_FLAGS[@]}" \
            --with-cc-opt='-g -O3 -fno-semantic-interposition -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIC' \
            --with-ld-opt='-Wl,-z,relro -Wl,-z,now -Wl,-Bsymbolic-functions -fPIC' \
            --add-dynamic-module="$ROOT" --builddir="$folder"
        make -s -j2 -f "$folder/Makefile" modules
    )
    MODULE=$folder/ngx_http_affiliate_module.so
    [ -f "$MODULE" ] || die "no $MODULE after the build"
}

# A whole nginx from sources, a folder or a tarball: KIND static (module linked in) or dynamic (module beside it); san,
# palloc or nothing.
build_nginx() {
    local source=$1 kind=$2 san=$3 folder copy add=--add-dynamic-module cc_opt='-g -O3' ld_opt=
    if [ -f "$source" ]; then
        unpack_nginx "$source"
        source=$NGINX_SOURCE
    fi
    [ -f "$source/src/core/nginx.h" ] || die "$1 holds no nginx sources"
    source=$(cd "$source" && pwd -P)
    plain_path "$source" "the path of nginx's sources"
    folder=$BUILD/nginx-$(nginx_version_of "$source")-$kind${san:+-$san}
    if [ "$kind" = static ]; then
        add=--add-module
    fi
    if [ -n "$san" ]; then
        # Every allocation of a pool becomes one of malloc's, or pools would hide overruns from ASan and valgrind.
        cc_opt='-g -O1 -DNGX_DEBUG_PALLOC=1'
    fi
    if [ "$san" = san ]; then
        ld_opt=${SANITIZE%% *}
    fi

    # configure writes into the current folder; the given sources stay as they are.
    copy=$folder-src
    if [ "$source" != "$copy" ] && [ ! -d "$copy" ]; then
        mkdir -p "$copy.tmp" && cp -R "$source/." "$copy.tmp" && mv "$copy.tmp" "$copy"
    fi
    (
        cd "$copy"
        configure=./configure
        [ -x configure ] || configure=auto/configure
        configure_once "$folder" "$configure" --prefix="$folder/prefix" --with-compat --with-debug --with-pcre-jit \
            --with-http_ssl_module --with-http_stub_status_module --with-http_realip_module \
            --with-http_auth_request_module --with-http_v2_module --with-http_slice_module --with-threads \
            --with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt" "$add=$ROOT" --builddir="$folder"
        if [ "$san" = san ]; then
            sanitize_our_objects "$folder/Makefile"
        fi
        make -s -j2 -f "$folder/Makefile"
    )
    NGINX=$folder/nginx
    MODULE=
    if [ "$kind" = dynamic ]; then
        MODULE=$folder/ngx_http_affiliate_module.so
    fi
}

# unpack_nginx TARBALL: into build/, without the folder that is its only member.
unpack_nginx() {
    NGINX_SOURCE=$BUILD/nginx-unpacked
    rm -rf "$NGINX_SOURCE"
    mkdir -p "$NGINX_SOURCE"
    tar -xf "$1" -C "$NGINX_SOURCE" --strip-components=1 || die "$1 could not be unpacked"
}

# configure_once FOLDER COMMAND...: runs nginx's configure unless FOLDER already comes from the same inputs.
configure_once() {
    local folder=$1 stamp
    shift
    stamp=$(printf '%s\n' "$@"; cat src/core/nginx.h "$ROOT/config" "$ROOT/ngx_http_affiliate_module/affiliate.js"; cd "$ROOT"
            ls ngx_http_affiliate_module/*.[ch] tracker-core/src/*.c tracker-core/include/*.h)
    if [ -f "$folder/Makefile" ] && [ "$stamp" = "$(cat "$folder/.stamp" 2>/dev/null)" ]; then
        return
    fi
    mkdir -p "$folder"
    if ! "$@" >"$folder/configure.log" 2>&1; then
        tail -n 20 "$folder/configure.log" >&2
        die "nginx's configure failed (build log: $folder/configure.log)"
    fi
    printf '%s\n' "$stamp" >"$folder/.stamp"
}

# Only our objects get the sanitizers: nginx 1.22's own ngx_string.c trips UBSan.
sanitize_our_objects() {
    grep -q -- "\$(CFLAGS) $SANITIZE" "$1" && return
    sed -i "/^[^	 ].*addon\/.*\.o:/,/^$/ s|\$(CC) -c \$(CFLAGS)|\$(CC) -c \$(CFLAGS) $SANITIZE|" "$1"
    grep -q -- "$SANITIZE" "$1" || die "found no objects of ours in $1"
}

# nginx's sources of this Debian release, fetched once by apt.  nginx-dev has headers only.
nginx_source() {
    local folder=$BUILD/apt-source dsc
    NGINX_SOURCE=$folder/nginx
    [ ! -d "$NGINX_SOURCE" ] || return 0
    deps_ensure run test
    say "Fetching nginx's sources"
    apt_private "$folder" deb-src "$(debian_release)"
    (cd "$folder" && apt-get "${APT_PRIVATE[@]}" -qq --download-only source nginx)
    dsc=$(ls "$folder"/nginx_*.dsc | tail -n 1)
    rm -rf "$NGINX_SOURCE.tmp"
    dpkg-source --no-check -x "$dsc" "$NGINX_SOURCE.tmp" >"$folder/unpack.log" 2>&1 ||
        { cat "$folder/unpack.log" >&2; die "$dsc could not be unpacked"; }
    mv "$NGINX_SOURCE.tmp" "$NGINX_SOURCE"
}
