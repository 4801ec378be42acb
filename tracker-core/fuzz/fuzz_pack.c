/*
 * fuzz_pack.c - hostile bytes as packs, acks and heartbeats.
 *
 * The first byte chooses the door:
 *     0  the bytes are a pack as Redis may hold it: peek and open
 *     1  the bytes are the plaintext that a captured edge seals, behind a header drawn from
 *        them too: opened, received against a row, iterated to the last record
 *     2  the bytes are records: sealed by the codec, which must give them back
 *     3  an ack   4  a heartbeat   5  a stream id
 */
#include "tracker_receiver.h"

#include <openssl/evp.h>
#include <stdlib.h>

static struct tracker_keys             keys;
static struct tracker_sealer          *sealer;
static uint8_t                         secret[TRACKER_KEY_LEN];
static const struct tracker_journal_id journal = { "fuzzed-journal!" };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *error;
    int         line;

    (void) argc;
    (void) argv;
    if (tracker_init() != 0
        || tracker_keys_parse(&keys,
                              TRACKER_STR("0 current 000102030405060708090a0b0c0d0e0f"
                                          "101112131415161718191a1b1c1d1e1f\n"),
                              &error, &line) != 0)
        abort();
    sealer = tracker_sealer_new(&keys, 0, &journal);
    tracker_keys_derive(&keys, 0, TRACKER_LABEL_PACK, journal.bytes, sizeof(journal.bytes), secret);
    return 0;
}

static void
expect(bool so)
{
    if (!so)
        abort();
}

/* Whatever the pack is, what is decided about it must be consistent and the iteration must end. */
static void
take(const struct tracker_pack *pack, uint64_t next, uint64_t hash)
{
    struct tracker_position at = { next, hash };
    struct tracker_receive  out;
    struct tracker_record   record;
    uint64_t                sequence, expected = next;
    uint8_t                 sum = 0;

    tracker_receive(&at, pack, &out);
    switch (out.verdict) {
    case TRACKER_RECEIVE_APPLY:
        expect(out.count > 0 && out.after.next == next + out.count);
        while (tracker_receive_next(&out, tracker_record_salt(&journal), &sequence, &record) != 0) {
            expect(sequence == expected++);
            for (uint32_t i = 0; i < record.len; i++)
                sum ^= record.payload[i];
        }
        expect(expected == out.after.next && out.records_len == 0);
        break;
    case TRACKER_RECEIVE_GAP:
    case TRACKER_RECEIVE_BAD:
        expect(out.gap_from == next && out.gap_to > next && out.after.next == out.gap_to);
        break;
    case TRACKER_RECEIVE_NOTHING:
    case TRACKER_RECEIVE_EARLY:
    case TRACKER_RECEIVE_FORKED:
        expect(out.after.next == next);
        break;
    }
    *(volatile uint8_t *) &sum = sum;
}

static void
open_and_take(uint8_t *bytes, size_t len)
{
    struct tracker_pack pack;

    if (tracker_pack_peek((struct tracker_str){ (char *) bytes, len }, &pack) != TRACKER_PACK_OK)
        return;
    uint64_t first = pack.first;
    if (tracker_pack_open(sealer, bytes, len, &pack) != TRACKER_PACK_OK)
        return;
    expect(pack.first == first && pack.edge[TRACKER_EDGE_NAME_MAX] == 0);
    take(&pack, 1, tracker_chain_start(&journal, 1));
    take(&pack, first, 0);
    take(&pack, first, pack.hash_before);
    take(&pack, first + pack.count / 2, 0);
    take(&pack, first + pack.count, 0);
}

/* data: kind, count, then the plaintext; first is 1, so that records of the corpus fit. */
static void
seal_hostile(const uint8_t *data, size_t size)
{
    static EVP_CIPHER_CTX *ctx;
    uint8_t               *out;
    int                    n;

    if (size < 2 || size > 4096)
        return;
    if (ctx == NULL)
        ctx = EVP_CIPHER_CTX_new();
    out = calloc(1, 60 + size - 2 + 16);
    memcpy(out, "AFP1", 4);
    out[5] = data[0];
    memcpy(out + 8, journal.bytes, sizeof(journal.bytes));
    out[24] = 1;
    out[32] = data[1];
    data += 2;
    size -= 2;
    out[56] = (uint8_t) size;
    out[57] = (uint8_t) (size >> 8);
    expect(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, out + 44) == 1);
    expect(EVP_EncryptUpdate(ctx, NULL, &n, out, 60) == 1);
    if (size > 0)
        expect(EVP_EncryptUpdate(ctx, out + 60, &n, data, (int) size) == 1);
    expect(EVP_EncryptFinal_ex(ctx, out + 60, &n) == 1);
    expect(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + 60 + size) == 1);
    open_and_take(out, 60 + size + 16);
    free(out);
}

static void
round_trip(const uint8_t *data, size_t size)
{
    struct tracker_pack in = { .kind = TRACKER_PACK_DATA, .journal_kind = TRACKER_JOURNAL_MONEY };
    struct tracker_pack back;
    uint8_t            *out = malloc(size + TRACKER_PACK_OVERHEAD);

    in.first = size + 1;
    in.count = 1 + (uint32_t) size % TRACKER_PACK_RECORDS_MAX;
    in.records = data;
    in.records_len = size;
    size_t len = tracker_pack_seal(sealer, &in, out, size + TRACKER_PACK_OVERHEAD);
    expect(len > 0);
    expect(tracker_pack_open(sealer, out, len, &back) == TRACKER_PACK_OK);
    expect(back.records_len == size && (size == 0 || memcmp(back.records, data, size) == 0));
    free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tracker_stream_id id;
    struct tracker_heartbeat beat;
    struct tracker_ack       ack;
    uint8_t                 *copy;

    if (size == 0)
        return 0;
    struct tracker_str text = { (const char *) data + 1, size - 1 };
    switch (data[0]) {
    case 0:
        copy = malloc(size);
        memcpy(copy, data + 1, size - 1);
        open_and_take(copy, size - 1);
        free(copy);
        break;
    case 1:
        seal_hostile(data + 1, size - 1);
        break;
    case 2:
        round_trip(data + 1, size - 1);
        break;
    case 3:
        tracker_ack_decode(&keys, &journal, text, &ack);
        break;
    case 4:
        tracker_heartbeat_decode(&keys, 0, text, &beat);
        break;
    case 5:
        tracker_stream_id_parse(text, &id);
        break;
    default:
        break;
    }
    return 0;
}
