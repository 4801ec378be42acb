/*
 * tracker_keys.c - the key ring: its text form, and the derivation of one key per use.
 *
 * Key material is wiped from every buffer of ours that held it, and no error
 * sentence carries any.
 */
#include "tracker_keys.h"

#include <sodium.h>

_Static_assert(TRACKER_KEY_LEN == crypto_generichash_BYTES, "derived keys are BLAKE2b-256");
_Static_assert(sizeof(((struct tracker_keys *) 0)->click_id[0]) == crypto_shorthash_siphashx24_KEYBYTES,
               "click id keys are SipHash keys");

static const char *line_parse(struct tracker_keys *keys, struct tracker_str line, bool *have_current);
static struct tracker_str line_take(struct tracker_str *text);
static struct tracker_str word_take(struct tracker_str *line);
static int id_parse(struct tracker_str word);

int
tracker_keys_parse(struct tracker_keys *keys, struct tracker_str text, const char **error, int *line)
{
    bool have_current = false;

    memset(keys, 0, sizeof(*keys));
    *error = NULL;
    *line = 0;

    if (text.len > TRACKER_KEYS_FILE_MAX) {
        *error = "the key file is longer than 4096 bytes";
        return -1;
    }
    for (int number = 1; text.len > 0; number++) {
        *error = line_parse(keys, line_take(&text), &have_current);
        if (*error != NULL) {
            *line = number;
            tracker_keys_clear(keys);
            return -1;
        }
    }
    if (!have_current) {
        *error = keys->present == 0 ? "the key file holds no key" : "no key is marked current";
        tracker_keys_clear(keys);
        return -1;
    }
    return 0;
}

/* One line into the ring; NULL, or what is wrong with it. */
static const char *
line_parse(struct tracker_keys *keys, struct tracker_str line, bool *have_current)
{
    struct tracker_str id_word = word_take(&line), state = word_take(&line), hex = word_take(&line);
    bool   current = tracker_str_eq(state, TRACKER_STR("current"));
    size_t len = 0;
    int    id;

    if (id_word.len == 0 || id_word.data[0] == '#')
        return NULL;
    if (hex.len == 0 || word_take(&line).len != 0)
        return "a key line is: <id 0..15> <current|accepted> <64 hex digits>";

    id = id_parse(id_word);
    if (id < 0)
        return "the key id is not a number from 0 to 15";
    if (tracker_keys_has(keys, (unsigned) id))
        return "this key id stands in the file twice";
    if (!current && !tracker_str_eq(state, TRACKER_STR("accepted")))
        return "the second word is neither current nor accepted";
    if (current && *have_current)
        return "a second key is marked current";
    if (hex.len != 2 * TRACKER_KEY_LEN
        || sodium_hex2bin(keys->master[id], TRACKER_KEY_LEN, hex.data, hex.len, NULL, &len, NULL) != 0
        || len != TRACKER_KEY_LEN)
        return "the key is not 64 hex digits";

    uint8_t derived[TRACKER_KEY_LEN];
    tracker_keys_derive(keys, (unsigned) id, TRACKER_LABEL_CLICK_ID, NULL, 0, derived);
    memcpy(keys->click_id[id], derived, sizeof(keys->click_id[id]));
    sodium_memzero(derived, sizeof(derived));

    keys->present |= (uint16_t) (1u << id);
    if (current) {
        keys->current = (uint8_t) id;
        *have_current = true;
    }
    return NULL;
}

/*
 * The label goes in with its NUL, so that no label and context together can
 * read as another label and context.
 */
void
tracker_keys_derive(const struct tracker_keys *keys, unsigned id, const char *label,
                    const void *context, size_t context_len, uint8_t out[TRACKER_KEY_LEN])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, keys->master[id], TRACKER_KEY_LEN, TRACKER_KEY_LEN);
    crypto_generichash_update(&state, (const unsigned char *) label, strlen(label) + 1);
    if (context_len > 0)
        crypto_generichash_update(&state, context, context_len);
    crypto_generichash_final(&state, out, TRACKER_KEY_LEN);
    sodium_memzero(&state, sizeof(state));
}

size_t
tracker_keys_generate(char *buf, unsigned id, bool current)
{
    uint8_t key[TRACKER_KEY_LEN];
    char   *p = buf;

    if (id >= 10)
        *p++ = '1';
    *p++ = (char) ('0' + id % 10);
    p = stpcpy(p, current ? " current " : " accepted ");

    randombytes_buf(key, sizeof(key));
    sodium_bin2hex(p, 2 * TRACKER_KEY_LEN + 1, key, sizeof(key));
    sodium_memzero(key, sizeof(key));
    p += 2 * TRACKER_KEY_LEN;
    *p++ = '\n';
    *p = '\0';
    return (size_t) (p - buf);
}

void
tracker_keys_clear(struct tracker_keys *keys)
{
    sodium_memzero(keys, sizeof(*keys));
}

/* Cuts the first line off *text; the line comes without its newline. */
static struct tracker_str
line_take(struct tracker_str *text)
{
    const char        *newline = memchr(text->data, '\n', text->len);
    struct tracker_str line = { text->data, newline != NULL ? (size_t) (newline - text->data) : text->len };
    size_t             used = line.len + (newline != NULL);

    text->data += used;
    text->len -= used;
    return line;
}

/* Cuts the first word off *line; len 0 when there is none.  CR counts as blank: editors add it. */
static struct tracker_str
word_take(struct tracker_str *line)
{
    struct tracker_str word;
    size_t start = 0, end;

    while (start < line->len && memchr(" \t\r", line->data[start], 3) != NULL)
        start++;
    end = start;
    while (end < line->len && memchr(" \t\r", line->data[end], 3) == NULL)
        end++;

    word = (struct tracker_str){ line->data + start, end - start };
    line->data += end;
    line->len -= end;
    return word;
}

/* -1: not a decimal number below TRACKER_KEYS_MAX, or with leading zeros. */
static int
id_parse(struct tracker_str word)
{
    int id = 0;

    if (word.len > 2 || (word.len == 2 && word.data[0] == '0'))
        return -1;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return -1;
        id = id * 10 + (word.data[i] - '0');
    }
    return id < TRACKER_KEYS_MAX ? id : -1;
}
