/*
 * tracker_signature.c - the canonical query, and HMAC-SHA256 over it.
 */
#include "tracker_signature.h"

#include <sodium.h>
#include <stdlib.h>

#include "tracker_url.h"

/* One parameter, encoded; name and value lie behind one another with '=' between them. */
struct param {
    const char *text;
    size_t      name_len, len;
};

static bool   params_take(struct tracker_str query, struct param *params, unsigned *count, char **at);
static bool   is_signature(struct tracker_str name);
static char  *encode(struct tracker_str raw, char *out);
static int    param_order(const void *a, const void *b);
static int    bytes_order(const char *a, size_t a_len, const char *b, size_t b_len);

bool
tracker_canonical_query(struct tracker_str query, struct tracker_str form, char *space,
                        struct tracker_str *canonical)
{
    struct param params[TRACKER_SIGNATURE_PARAMS_MAX];
    unsigned     count = 0;
    char        *at = space, *out;

    if (!params_take(query, params, &count, &at) || !params_take(form, params, &count, &at))
        return false;
    qsort(params, count, sizeof(params[0]), param_order);

    /*
     * A byte becomes three at most, and a name without '=' gets one, which its '&' pays for but in the last of
     * query and form: 3 * len + 2 here, and one '&' more there.
     */
    out = at;
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            *out++ = '&';
        memcpy(out, params[i].text, params[i].len);
        out += params[i].len;
    }
    *canonical = (struct tracker_str){ at, (size_t) (out - at) };
    return true;
}

void
tracker_sign(struct tracker_str secret, struct tracker_str text, char hex[TRACKER_SIGNATURE_LEN])
{
    crypto_auth_hmacsha256_state state;
    uint8_t                      mac[crypto_auth_hmacsha256_BYTES];
    char                         with_nul[TRACKER_SIGNATURE_LEN + 1];

    crypto_auth_hmacsha256_init(&state, (const uint8_t *) secret.data, secret.len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *) text.data, text.len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(with_nul, sizeof(with_nul), mac, sizeof(mac));
    memcpy(hex, with_nul, TRACKER_SIGNATURE_LEN);
    sodium_memzero(&state, sizeof(state));
}

bool
tracker_signature_verify(struct tracker_str secret, struct tracker_str text, struct tracker_str hex)
{
    char right[TRACKER_SIGNATURE_LEN];

    if (secret.len == 0 || hex.len != sizeof(right))
        return false;
    tracker_sign(secret, text, right);
    return sodium_memcmp(right, hex.data, sizeof(right)) == 0;
}

static bool
params_take(struct tracker_str query, struct param *params, unsigned *count, char **at)
{
    struct tracker_str name, value;

    while (tracker_query_next(&query, &name, &value)) {
        struct param *param = &params[*count];

        if (is_signature(name))
            continue;
        if (*count == TRACKER_SIGNATURE_PARAMS_MAX)
            return false;
        param->text = *at;
        *at = encode(name, *at);
        param->name_len = (size_t) (*at - param->text);
        *(*at)++ = '=';
        *at = encode(value, *at);
        param->len = (size_t) (*at - param->text);
        (*count)++;
    }
    return true;
}

static bool
is_signature(struct tracker_str name)
{
    char decoded[sizeof(TRACKER_SIGNATURE_PARAM)]; /* one byte more than the name: a longer one is seen as such */
    size_t len = tracker_url_decode(name, decoded, sizeof(decoded));

    return tracker_str_eq((struct tracker_str){ decoded, len }, TRACKER_STR(TRACKER_SIGNATURE_PARAM));
}

/* Decodes and encodes anew, byte by byte; gives where it ended. */
static char *
encode(struct tracker_str raw, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    const char       *p = raw.data, *end = raw.data + raw.len;

    while (p < end) {
        size_t  taken = *p == '%' && end - p >= 3 ? 3 : 1;
        char    two[3];
        uint8_t c;

        /* an escape becomes one byte, anything else as many as it has: the first is ours either way */
        if (tracker_url_decode((struct tracker_str){ p, taken }, two, sizeof(two)) != 1)
            taken = 1;
        c = (uint8_t) two[0];
        p += taken;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'
            || c == '_' || c == '~') {
            *out++ = (char) c;
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    return out;
}

static int
param_order(const void *a, const void *b)
{
    const struct param *x = a, *y = b;
    int                 order = bytes_order(x->text, x->name_len, y->text, y->name_len);

    if (order != 0)
        return order;
    return bytes_order(x->text + x->name_len, x->len - x->name_len, y->text + y->name_len, y->len - y->name_len);
}

static int
bytes_order(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    if (order != 0)
        return order;
    return a_len < b_len ? -1 : a_len > b_len;
}
