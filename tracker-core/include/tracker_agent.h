/*
 * tracker_agent.h - what a User-Agent says: a person's device, a bot, or a preview.
 *
 * A list of patterns is compiled once (by the backend, from data) into one
 * automaton that finds all of them in one pass over the bytes (Aho and
 * Corasick 1975); it travels in the snapshot, so that every edge judges alike
 * and a new bot needs no new release.  Offsets, never pointers; the checker
 * below is the guard, readers then trust what they read.
 */
#ifndef TRACKER_AGENT_H
#define TRACKER_AGENT_H

#include "tracker_types.h"

/* Persisted in events, snapshots and SQL: append only.  0 is "unknown". */
#define TRACKER_DEVICES(X)                                                                          \
    X(1, DESKTOP, "desktop") X(2, PHONE, "phone") X(3, TABLET, "tablet") X(4, TV, "tv")             \
    X(5, CONSOLE, "console") X(6, WEARABLE, "wearable") X(7, CAR, "car")
#define TRACKER_OSES(X)                                                                             \
    X(1, WINDOWS, "windows") X(2, MACOS, "macos") X(3, LINUX, "linux") X(4, CHROMEOS, "chromeos")   \
    X(5, ANDROID, "android") X(6, IOS, "ios") X(7, IPADOS, "ipados") X(8, TIZEN, "tizen")           \
    X(9, WEBOS, "webos") X(10, KAIOS, "kaios") X(11, HARMONYOS, "harmonyos") X(12, BSD, "bsd")      \
    X(13, PLAYSTATION, "playstation") X(14, XBOX, "xbox") X(15, NINTENDO, "nintendo")
#define TRACKER_BROWSERS(X)                                                                         \
    X(1, CHROME, "chrome") X(2, SAFARI, "safari") X(3, FIREFOX, "firefox") X(4, EDGE, "edge")       \
    X(5, OPERA, "opera") X(6, SAMSUNG, "samsung") X(7, YANDEX, "yandex") X(8, UC, "uc")             \
    X(9, BRAVE, "brave") X(10, VIVALDI, "vivaldi") X(11, DUCKDUCKGO, "duckduckgo") X(12, IE, "ie")  \
    X(13, WEBVIEW, "webview") X(14, FACEBOOK, "facebook") X(15, INSTAGRAM, "instagram")             \
    X(16, TIKTOK, "tiktok") X(17, WECHAT, "wechat") X(18, LINE, "line") X(19, SNAPCHAT, "snapchat") \
    X(20, TELEGRAM, "telegram") X(21, PINTEREST, "pinterest") X(22, LINKEDIN, "linkedin")           \
    X(23, TWITTER, "twitter") X(24, SILK, "silk") X(25, MIUI, "miui") X(26, HUAWEI, "huawei")       \
    X(27, GOOGLE_APP, "google_app")

#define TRACKER_ENUM(number, name, text) TRACKER_DEVICE_##name = number,
enum tracker_device { TRACKER_DEVICE_UNKNOWN = 0, TRACKER_DEVICES(TRACKER_ENUM) };
#undef TRACKER_ENUM
#define TRACKER_ENUM(number, name, text) TRACKER_OS_##name = number,
enum tracker_os { TRACKER_OS_UNKNOWN = 0, TRACKER_OSES(TRACKER_ENUM) };
#undef TRACKER_ENUM
#define TRACKER_ENUM(number, name, text) TRACKER_BROWSER_##name = number,
enum tracker_browser { TRACKER_BROWSER_UNKNOWN = 0, TRACKER_BROWSERS(TRACKER_ENUM) };
#undef TRACKER_ENUM

enum tracker_agent_kind {
    TRACKER_AGENT_PERSON = 0,
    TRACKER_AGENT_BOT = 1,    /* crawlers, libraries, monitors, headless browsers */
    TRACKER_AGENT_PREVIEW = 2 /* fetches a link that somebody posted, to show its title */
};

struct tracker_agent {
    uint8_t kind;                /* enum tracker_agent_kind */
    uint8_t device, os, browser; /* the enums above */
};

/* "phone", ...; empty for 0 and for numbers that nobody gave out.  What {device} and reports say. */
struct tracker_str tracker_device_name(unsigned device);
struct tracker_str tracker_os_name(unsigned os);
struct tracker_str tracker_browser_name(unsigned browser);
/* The number of a name, or 0. */
unsigned tracker_device_find(struct tracker_str name);
unsigned tracker_os_find(struct tracker_str name);
unsigned tracker_browser_find(struct tracker_str name);

#define TRACKER_AGENTS_MAX (1u << 20) /* bytes of a compiled automaton */

/*
 * Compiles a list (its form stands at the top of tracker-core/data/agents.txt) into malloc'ed *out
 * of *len bytes, the caller's to free.  0; -EINVAL with *error a static
 * sentence and *line the 1-based line; -ENOMEM; -EFBIG.
 */
int tracker_agents_compile(struct tracker_str list, uint8_t **out, size_t *len, const char **error, int *line);

/* True when every state, edge and answer of a compiled automaton lies within it.  Any bytes are safe. */
bool tracker_agents_check(const uint8_t *compiled, size_t len);

/* Judges a User-Agent with a checked automaton; O(length), no allocation.  Any bytes are safe. */
void tracker_agents_classify(const uint8_t *compiled, size_t len, struct tracker_str user_agent,
                             struct tracker_agent *out);

#endif
