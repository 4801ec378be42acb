/*
 * tracker_url.c - destination templates and query strings.
 *
 * tracker_template_expand is on the click path and comes first; compiling and
 * checking happen when a link is saved or a snapshot is opened.  Where a URL
 * leads is decided by its scheme and authority, so both must stand complete in
 * the literal text: everything after them can no longer change the host.
 */
#include "tracker_url.h"
#include "tracker_url_class.h"

#define PART_HEADER  4u
#define PART_RAW     1u  /* flags, bit 0 */
#define NAME_MAX_LEN 32u  /* of a macro's name */
#define HOST_MAX_LEN 253u /* of a domain name; RFC 1035 */

/* By number (enum tracker_macro), which is what snapshots store; {sub1}..{sub10} follow. */
static const struct tracker_str macro_names[] = {
    [TRACKER_MACRO_NONE] = { "", 0 },
#define MACRO(number, name) [number] = { name, sizeof(name) - 1 }
    MACRO(TRACKER_MACRO_CLICK_ID, "click_id"),
    MACRO(TRACKER_MACRO_AFFILIATE_ID, "affiliate_id"),
    MACRO(TRACKER_MACRO_AFFILIATE, "affiliate"),
    MACRO(TRACKER_MACRO_CAMPAIGN, "campaign"),
    MACRO(TRACKER_MACRO_LINK, "link"),
    MACRO(TRACKER_MACRO_SOURCE, "source"),
    MACRO(TRACKER_MACRO_CREATIVE, "creative"),
    MACRO(TRACKER_MACRO_REF_ID, "ref_id"),
    MACRO(TRACKER_MACRO_COUNTRY, "country"),
    MACRO(TRACKER_MACRO_REGION, "region"),
    MACRO(TRACKER_MACRO_CITY, "city"),
    MACRO(TRACKER_MACRO_ASN, "asn"),
    MACRO(TRACKER_MACRO_DEVICE, "device"),
    MACRO(TRACKER_MACRO_OS, "os"),
    MACRO(TRACKER_MACRO_BROWSER, "browser"),
    MACRO(TRACKER_MACRO_LANGUAGE, "language"),
    MACRO(TRACKER_MACRO_IP, "ip"),
    MACRO(TRACKER_MACRO_TIMESTAMP, "timestamp"),
    MACRO(TRACKER_MACRO_RANDOM, "random"),
    MACRO(TRACKER_MACRO_SUB1, "sub1"),
    MACRO(TRACKER_MACRO_SUB1 + 1, "sub2"),
    MACRO(TRACKER_MACRO_SUB1 + 2, "sub3"),
    MACRO(TRACKER_MACRO_SUB1 + 3, "sub4"),
    MACRO(TRACKER_MACRO_SUB1 + 4, "sub5"),
    MACRO(TRACKER_MACRO_SUB1 + 5, "sub6"),
    MACRO(TRACKER_MACRO_SUB1 + 6, "sub7"),
    MACRO(TRACKER_MACRO_SUB1 + 7, "sub8"),
    MACRO(TRACKER_MACRO_SUB1 + 8, "sub9"),
    MACRO(TRACKER_MACRO_SUB1 + 9, "sub10"),
#undef MACRO
};

_Static_assert(sizeof(macro_names) / sizeof(macro_names[0]) == TRACKER_MACRO_COUNT, "every macro has a name");
_Static_assert(TRACKER_MACRO_COUNT <= 32, "tracker_template_macros answers with 32 bits");

/* A compiled template being written; full is sticky. */
struct writer {
    uint8_t *out;
    size_t   cap, len;
    size_t   part; /* offset of the open part's header */
    bool     open; /* a part begins with what is put into it, so that none is left empty */
    bool     full;
};

/* One part of a compiled template; the literal is borrowed. */
struct part {
    struct tracker_str literal;
    unsigned           macro, flags;
};

static char *value_put(char *at, char *end, struct tracker_str value, unsigned flags);
static const uint8_t *run_end(const uint8_t *p, const uint8_t *stop, unsigned keep);
static bool part_next(const uint8_t **at, const uint8_t *end, struct part *part);
static struct tracker_str name_before(struct tracker_str literal);
static bool text_compile(struct writer *w, struct tracker_str text, const char **error);
static bool macro_compile(struct writer *w, struct tracker_str text, size_t *used, const char **error);
static void click_id_append(struct writer *w, struct tracker_str before);
static void part_open(struct writer *w);
static void part_close(struct writer *w, unsigned macro, unsigned flags);
static void literal_put(struct writer *w, struct tracker_str literal);
static bool literal_clean(struct tracker_str literal);
static const char *authority_parse(struct tracker_str url, struct tracker_str *host, size_t *end);
static bool host_port_valid(struct tracker_str authority, struct tracker_str *host);
static bool name_valid(struct tracker_str host);
static bool address_valid(struct tracker_str host);
static bool port_valid(struct tracker_str port);

int
tracker_template_expand(const uint8_t *compiled, size_t len,
                        const struct tracker_str values[TRACKER_MACRO_COUNT], char *out, size_t cap)
{
    const uint8_t *stop = compiled + len;
    char          *at = out, *end = out + (cap < TRACKER_URL_MAX ? cap : TRACKER_URL_MAX);
    struct part    part;

    while (part_next(&compiled, stop, &part)) {
        if (part.literal.len > (size_t) (end - at))
            return -1;
        memcpy(at, part.literal.data, part.literal.len);
        at += part.literal.len;
        if (part.macro == TRACKER_MACRO_NONE)
            continue;
        at = value_put(at, end, values[part.macro], part.flags);
        if (at == NULL)
            return -1;
    }
    return (int) (at - out);
}

/* Writes one value, percent-encoded as its macro asks; NULL when it does not fit. */
static char *
value_put(char *at, char *end, struct tracker_str value, unsigned flags)
{
    static const char digits[16] = "0123456789ABCDEF";
    const uint8_t *p = (const uint8_t *) value.data, *stop, *run;
    unsigned       keep = (flags & PART_RAW) != 0 ? URL_SAFE : UNRESERVED;

    if (value.len == 0) /* TRACKER_STR_NONE: no arithmetic on NULL */
        return at;
    stop = p + value.len;
    while (p < stop) {
        run = p;
        p = run_end(p, stop, keep);
        if (p > run) {
            if (p - run > end - at)
                return NULL;
            memcpy(at, run, (size_t) (p - run));
            at += p - run;
        } else if (keep == URL_SAFE && escape_at((const char *) p, (const char *) stop)) {
            if (at == end)
                return NULL;
            *at++ = (char) *p++; /* its two digits are the next run's */
        } else {
            if (end - at < 3)
                return NULL;
            *at++ = '%';
            *at++ = digits[*p >> 4];
            *at++ = digits[*p++ & 15];
        }
    }
    return at;
}

/* True when all of 16 bytes are unreserved (RFC 3986, 2.3), and so of every class that is kept. */
static inline bool
unreserved16(const uint8_t *p)
{
    typedef uint8_t bytes __attribute__((vector_size(16)));
    typedef uint64_t words __attribute__((vector_size(16)));

    bytes b, kept;
    words w;

    memcpy(&b, p, sizeof(b));
    kept = (bytes) ((b | 0x20) - 'a' < 26) | (bytes) (b - '0' < 10) | (bytes) (b - '-' < 2) | (bytes) (b == '_')
           | (bytes) (b == '~');
    w = (words) kept;
    return (w[0] & w[1]) == UINT64_MAX;
}

/* The first byte at or after p whose class lacks keep.  By many: most values need no encoding at all. */
static inline const uint8_t *
run_end(const uint8_t *p, const uint8_t *stop, unsigned keep)
{
    while (stop - p >= 16 && unreserved16(p))
        p += 16;
    while (stop - p >= 4 && (class_of[p[0]] & class_of[p[1]] & class_of[p[2]] & class_of[p[3]] & keep) != 0)
        p += 4;
    while (p < stop && (class_of[*p] & keep) != 0)
        p++;
    return p;
}

uint32_t
tracker_template_macros(const uint8_t *compiled, size_t len)
{
    const uint8_t *stop = compiled + len;
    struct part    part;
    uint32_t       used = 0;

    while (part_next(&compiled, stop, &part))
        used |= UINT32_C(1) << part.macro;
    return used & ~UINT32_C(1); /* bit 0 would be TRACKER_MACRO_NONE */
}

struct tracker_str
tracker_template_parameter(const uint8_t *compiled, size_t len, enum tracker_macro macro)
{
    const uint8_t     *stop = compiled + len;
    struct part        part, next = { .macro = TRACKER_MACRO_NONE };
    struct tracker_str name;

    for (bool more = part_next(&compiled, stop, &part); more; part = next) {
        more = part_next(&compiled, stop, &next);
        if (part.macro != macro || (more && (next.literal.len == 0 || memchr("&#", next.literal.data[0], 2) == NULL)))
            continue;
        name = name_before(part.literal);
        if (name.len != 0)
            return name;
    }
    return TRACKER_STR_NONE;
}

/* "cid" of a literal that ends with "?cid=" or "&cid=": unreserved bytes only, nothing that wants decoding. */
static struct tracker_str
name_before(struct tracker_str literal)
{
    size_t start = literal.len;

    if (literal.len == 0 || literal.data[--start] != '=')
        return TRACKER_STR_NONE;
    while (start > 0 && (class_of[(uint8_t) literal.data[start - 1]] & UNRESERVED) != 0)
        start--;
    if (start == 0 || memchr("?&", literal.data[start - 1], 2) == NULL)
        return TRACKER_STR_NONE;
    return (struct tracker_str){ literal.data + start, literal.len - 1 - start };
}

bool
tracker_template_check(const uint8_t *compiled, size_t len)
{
    const uint8_t     *at = compiled, *stop;
    struct tracker_str host;
    struct part        part;
    size_t             authority_end;

    if (len == 0 || len > TRACKER_TEMPLATE_MAX)
        return false;
    stop = compiled + len;
    if (!part_next(&at, stop, &part))
        return false;
    /* Scheme and authority are whole, or a macro would stand in them. */
    if (authority_parse(part.literal, &host, &authority_end) != NULL
        || (authority_end == part.literal.len && part.macro != TRACKER_MACRO_NONE))
        return false;
    for (;;) {
        if (!literal_clean(part.literal) || (part.flags & ~PART_RAW) != 0)
            return false;
        if (part.macro == TRACKER_MACRO_NONE)
            return at == stop && part.flags == 0;
        if (at == stop)
            return true;
        if (!part_next(&at, stop, &part))
            return false;
    }
}

/* The next part of a compiled template; false at its end, or where it is malformed. */
static bool
part_next(const uint8_t **at, const uint8_t *end, struct part *part)
{
    const uint8_t *p = *at;
    size_t         left = (size_t) (end - p), literal_len;

    if (left < PART_HEADER)
        return false;
    literal_len = (size_t) p[0] | (size_t) p[1] << 8;
    if (literal_len > left - PART_HEADER || p[2] >= TRACKER_MACRO_COUNT)
        return false;
    part->literal = (struct tracker_str){ (const char *) p + PART_HEADER, literal_len };
    part->macro = p[2];
    part->flags = p[3];
    *at = p + PART_HEADER + literal_len;
    return true;
}

int
tracker_template_compile(struct tracker_str text, unsigned flags, uint8_t *out, size_t cap,
                         const char **error)
{
    struct writer      w = { .out = out, .cap = cap < TRACKER_TEMPLATE_MAX ? cap : TRACKER_TEMPLATE_MAX };
    struct tracker_str host, before = text, fragment;
    const char        *hash;
    size_t             authority_end;

    *error = NULL;
    if (text.len > TRACKER_TEMPLATE_MAX) {
        *error = "the URL is longer than 4096 bytes";
        return -1;
    }
    *error = authority_parse(text, &host, &authority_end);
    if (*error != NULL)
        return -1;

    hash = memchr(text.data, '#', text.len);
    if (hash != NULL)
        before.len = (size_t) (hash - text.data);
    fragment = (struct tracker_str){ text.data + before.len, text.len - before.len };

    if (!text_compile(&w, before, error))
        return -1;
    if ((flags & TRACKER_TEMPLATE_APPEND_CLICK_ID) != 0
        && memmem(text.data, text.len, "{click_id}", 10) == NULL
        && memmem(text.data, text.len, "{_click_id}", 11) == NULL)
        click_id_append(&w, before);
    if (!text_compile(&w, fragment, error))
        return -1;
    if (w.open)
        part_close(&w, TRACKER_MACRO_NONE, 0);

    if (w.full) {
        *error = "the URL with its macros is too long";
        return -1;
    }
    return (int) w.len;
}

/* Literals and macros of text into w; false and *error when text is refused. */
static bool
text_compile(struct writer *w, struct tracker_str text, const char **error)
{
    size_t used;

    for (size_t i = 0; i < text.len; i += used) {
        struct tracker_str rest = { text.data + i, text.len - i };
        const char        *brace = memchr(rest.data, '{', rest.len);

        if (brace == rest.data) {
            if (!macro_compile(w, rest, &used, error))
                return false;
            continue;
        }
        used = brace != NULL ? (size_t) (brace - rest.data) : rest.len;
        rest.len = used;
        if (memchr(rest.data, '}', rest.len) != NULL) {
            *error = "a closing brace has no opening one";
            return false;
        }
        if (!literal_clean(rest)) {
            *error = "the URL holds a character that must be percent-encoded, or a % without two hex digits";
            return false;
        }
        literal_put(w, rest);
    }
    return true;
}

/* text begins with '{'; *used counts up to and with its '}'.  An unknown name leaves nothing behind. */
static bool
macro_compile(struct writer *w, struct tracker_str text, size_t *used, const char **error)
{
    const char        *close = memchr(text.data, '}', text.len);
    struct tracker_str name;
    unsigned           flags = 0;

    if (close == NULL) {
        *error = "an opening brace has no closing one";
        return false;
    }
    name = (struct tracker_str){ text.data + 1, (size_t) (close - text.data) - 1 };
    *used = name.len + 2;
    if (name.len > 0 && name.data[0] == '_') {
        flags = PART_RAW;
        name.data++;
        name.len--;
    }
    for (size_t i = 0; i < name.len; i++)
        if ((class_of[(uint8_t) name.data[i]] & NAME) == 0)
            name.len = 0;
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        *error = "between braces stands a macro's name: letters, digits and _";
        return false;
    }
    for (unsigned macro = 1; macro < TRACKER_MACRO_COUNT; macro++) {
        if (tracker_str_eq(name, macro_names[macro])) {
            part_close(w, macro, flags);
            break;
        }
    }
    return true;
}

/* Adds the parameter to the query of what stands before the fragment. */
static void
click_id_append(struct writer *w, struct tracker_str before)
{
    char last = before.data[before.len - 1];

    if (memchr(before.data, '?', before.len) == NULL)
        literal_put(w, TRACKER_STR("?click_id="));
    else if (last == '?' || last == '&')
        literal_put(w, TRACKER_STR("click_id="));
    else
        literal_put(w, TRACKER_STR("&click_id="));
    part_close(w, TRACKER_MACRO_CLICK_ID, 0);
}

static void
part_open(struct writer *w)
{
    if (w->open)
        return;
    if (w->cap - w->len < PART_HEADER) {
        w->full = true;
        return;
    }
    w->open = true;
    w->part = w->len;
    w->len += PART_HEADER;
}

/* Fills in the part's header. */
static void
part_close(struct writer *w, unsigned macro, unsigned flags)
{
    size_t literal_len;

    part_open(w);
    if (w->full)
        return;
    literal_len = w->len - w->part - PART_HEADER;
    w->out[w->part] = (uint8_t) literal_len;
    w->out[w->part + 1] = (uint8_t) (literal_len >> 8);
    w->out[w->part + 2] = (uint8_t) macro;
    w->out[w->part + 3] = (uint8_t) flags;
    w->open = false;
}

static void
literal_put(struct writer *w, struct tracker_str literal)
{
    part_open(w);
    if (w->full || literal.len > w->cap - w->len) {
        w->full = true;
        return;
    }
    memcpy(w->out + w->len, literal.data, literal.len);
    w->len += literal.len;
}

static bool
literal_clean(struct tracker_str literal)
{
    const char *end = literal.data + literal.len;

    for (const char *p = literal.data; p < end; p++)
        if ((class_of[(uint8_t) *p] & LITERAL) == 0 && !escape_at(p, end))
            return false;
    return true;
}

struct tracker_str
tracker_url_host(struct tracker_str url)
{
    struct tracker_str host;
    size_t             end;

    return authority_parse(url, &host, &end) == NULL ? host : TRACKER_STR_NONE;
}

/*
 * Checks "http[s]://host[:port]" at the start of url; *end is where path,
 * query or fragment begin.  NULL, or what is wrong.  Backslashes, blanks and
 * control bytes, which browsers read as something else, are no part of a host.
 */
static const char *
authority_parse(struct tracker_str url, struct tracker_str *host, size_t *end)
{
    struct tracker_str authority;
    size_t             start;

    if (url.len >= 7 && strncasecmp(url.data, "http://", 7) == 0)
        start = 7;
    else if (url.len >= 8 && strncasecmp(url.data, "https://", 8) == 0)
        start = 8;
    else
        return "the URL must begin with http:// or https://";

    for (*end = start; *end < url.len; (*end)++)
        if (memchr("/?#", url.data[*end], 3) != NULL)
            break;
    authority = (struct tracker_str){ url.data + start, *end - start };
    if (memchr(authority.data, '{', authority.len) != NULL)
        return "a macro may stand only after the host";
    if (memchr(authority.data, '@', authority.len) != NULL)
        return "the URL must hold no user name or password";
    if (!host_port_valid(authority, host))
        return "the URL's host is missing or malformed (names outside ASCII are written as xn--...)";
    return NULL;
}

static bool
host_port_valid(struct tracker_str authority, struct tracker_str *host)
{
    bool        bracketed = authority.len > 0 && authority.data[0] == '[';
    const char *end = authority.len > 0 ? memchr(authority.data, bracketed ? ']' : ':', authority.len) : NULL;

    if (bracketed && end == NULL)
        return false;
    *host = authority;
    if (end != NULL)
        host->len = (size_t) (end - authority.data) + bracketed;

    return (bracketed ? address_valid(*host) : name_valid(*host))
           && port_valid((struct tracker_str){ authority.data + host->len, authority.len - host->len });
}

/* A registered name or an IPv4 address. */
static bool
name_valid(struct tracker_str host)
{
    if (host.len == 0 || host.len > HOST_MAX_LEN || host.data[0] == '.' || host.data[0] == '-')
        return false;
    for (size_t i = 0; i < host.len; i++)
        if ((class_of[(uint8_t) host.data[i]] & HOST) == 0)
            return false;
    return true;
}

/* A bracketed IPv6 address: judged by its characters, resolved by nobody here. */
static bool
address_valid(struct tracker_str host)
{
    for (size_t i = 1; i < host.len - 1; i++)
        if ((class_of[(uint8_t) host.data[i]] & HEX) == 0 && host.data[i] != ':' && host.data[i] != '.')
            return false;
    return host.len >= 4; /* "[::]" */
}

/* Nothing, or ':' and a number from 1 to 65535. */
static bool
port_valid(struct tracker_str port)
{
    unsigned number = 0;

    if (port.len == 0)
        return true;
    if (port.data[0] != ':' || port.len > 6)
        return false;
    for (size_t i = 1; i < port.len; i++) {
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
        number = number * 10 + (unsigned) (port.data[i] - '0');
    }
    return number > 0 && number <= 65535;
}

size_t
tracker_url_decode(struct tracker_str in, char *out, size_t cap)
{
    const char *p = in.data, *end;
    size_t      len = 0;

    if (in.len == 0)
        return 0;
    end = in.data + in.len;
    while (p < end && len < cap) {
        if (escape_at(p, end)) {
            out[len++] = (char) (hex_value((uint8_t) p[1]) << 4 | hex_value((uint8_t) p[2]));
            p += 3;
        } else {
            out[len++] = *p == '+' ? ' ' : *p;
            p++;
        }
    }
    return len;
}

bool
tracker_query_next(struct tracker_str *rest, struct tracker_str *name, struct tracker_str *value)
{
    while (rest->len > 0) {
        struct tracker_str pair = *rest;
        const char        *end = memchr(pair.data, '&', pair.len), *equals;

        if (end != NULL)
            pair.len = (size_t) (end - pair.data);
        rest->data += pair.len + (end != NULL);
        rest->len -= pair.len + (end != NULL);
        if (pair.len == 0)
            continue;

        equals = memchr(pair.data, '=', pair.len);
        name->data = pair.data;
        name->len = equals != NULL ? (size_t) (equals - pair.data) : pair.len;
        value->data = pair.data + name->len + (equals != NULL);
        value->len = pair.len - name->len - (equals != NULL);
        return true;
    }
    return false;
}
