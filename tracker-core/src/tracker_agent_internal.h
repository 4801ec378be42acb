/*
 * tracker_agent_internal.h - the compiled form of a list of user agent patterns.
 *
 *   magic    8 bytes
 *   states   u32: how many, 1 .. 65535
 *   answers  u32: how many, 1 .. 65535
 *   root     256 x u16: the state after a first byte
 *   states   8 bytes each: u16 first child, u16 where to go on when no child fits (fail),
 *            u16 answer, u8 label (the byte that leads here), u8 number of children
 *   answers  4 x u32 each, one a dimension: rank << 8 | value
 *
 * States are a trie's nodes in breadth-first order, so the children of a node
 * are neighbours (a cache line holds eight), depth never falls with the
 * number, and a fail leads to a smaller number and a smaller depth: hence two
 * steps a byte at most.  An answer is merged at compile time with those of all
 * shorter patterns that end at the same place: readers look at one.
 */
#ifndef TRACKER_AGENT_INTERNAL_H
#define TRACKER_AGENT_INTERNAL_H

#include "tracker_agent.h"
#include "tracker_le.h"

#define TRACKER_AGENTS_MAGIC "AFFAGNT1"
#define AGENTS_MAGIC_LEN   8
#define AGENTS_HEAD_LEN    16
#define AGENTS_ROOT_LEN    512
#define AGENTS_STATE_LEN   8
#define AGENTS_ANSWER_LEN  16
#define AGENTS_STATES_MAX  65535
#define AGENTS_LITERALS_MAX 16384 /* so that all fits into TRACKER_AGENTS_MAX */
#define AGENTS_LITERAL_MAX 64 /* bytes, and both ends of the text */

/* The text's ends are bytes that no literal holds. */
#define AGENTS_START 1
#define AGENTS_END   2

enum agent_dimension { AGENT_KIND, AGENT_DEVICE, AGENT_OS, AGENT_BROWSER, AGENT_DIMENSIONS };

/* Upper and lower case are one; bytes that stand for the ends are nothing. */
static inline uint8_t
agents_fold(uint8_t byte)
{
    if (byte == AGENTS_START || byte == AGENTS_END)
        return 0;
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

#endif
