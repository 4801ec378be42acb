/*
 * config.h - affiliated.conf: sections of keys, each of them known.
 *
 *     [affiliated]
 *     database   = sqlite:/var/lib/affiliated/affiliated.db
 *     redis      = unix:/run/redis/redis.sock        ; or host:port
 *     listen     = unix:/run/affiliated/http.sock
 *     key_file   = /etc/affiliated/edge.key
 *     base_url   = https://track.example.com
 *     click_path = /c/
 *     partitions = 8
 *     state      = /var/lib/affiliated
 *     log_level  = info
 *     smtp       = smtp://mail.example.com:587       ; docs/mail.md
 *     smtp_user  = tracker
 *     smtp_password_file = /etc/affiliate/smtp-password
 *     smtp_tls   = required
 *     mail_from  = The Shop <noreply@example.com>
 *
 *     [detection]                                    ; docs/detection.md
 *     agents      = /etc/affiliate/agents.txt
 *     datacentres = /etc/affiliate/datacentre_asns.txt
 *
 * `--set key=value` on the command line wins over the file; of another section than the first, `--set
 * section.key=value`.  An unknown key, a
 * key said twice, a relative path: an error that names it.
 */
#ifndef AFFILIATED_CONFIG_H
#define AFFILIATED_CONFIG_H

#include <stddef.h>

#include "app/log.h"
#include "mail/smtp.h"

#define CONFIG_PARTITIONS_MAX 64

/* Strings are owned; NULL: not given. */
struct config {
    char          *database;   /* a database address, db.h */
    char          *redis;      /* as written */
    char          *redis_path; /* of a unix socket, or NULL */
    char          *redis_host; /* or NULL */
    int            redis_port;
    char          *listen;     /* as written: "unix:/path" */
    char          *listen_path; /* the path in it */
    char          *key_file;
    char          *base_url;   /* no slash at its end */
    char          *click_path; /* what stands between base_url and a link's code; NULL: "/c/" */
    char          *form_path;  /* ... and a form's key; NULL: "/f/" */
    char          *state;      /* a folder; lock and control socket live there */
    char          *agents, *datacentres; /* files in the place of the built-in lists; NULL: those */
    char          *smtp;       /* "smtp://host:port" or "smtps://host:port"; NULL: mails wait */
    char          *smtp_user, *smtp_password_file, *smtp_ca_file; /* or NULL */
    enum smtp_tls  smtp_tls;   /* 0: what the server's address calls for */
    struct mailbox mail_from;  /* address "": not given */
    unsigned       partitions;
    enum log_level log_level;
    unsigned       pinned;     /* bit per key: said on the command line */
    unsigned       seen;       /* bit per key: said in the file */
};

void config_init(struct config *config);
void config_clear(struct config *config);

/* Reads the file; false: error is a sentence with file and line. */
bool config_load(struct config *config, const char *path, char *error, size_t cap);
/* One "key=value" of the command line, before or after the file: what was set here stays. */
bool config_set(struct config *config, const char *assignment, char *error, size_t cap);

/* What a command cannot do without. */
#define CONFIG_NEEDS_DATABASE (1u << 0)
#define CONFIG_NEEDS_REDIS    (1u << 1)
#define CONFIG_NEEDS_LISTEN   (1u << 2)
#define CONFIG_NEEDS_KEYS     (1u << 3)
#define CONFIG_NEEDS_STATE    (1u << 4)
#define CONFIG_NEEDS_BASE_URL (1u << 5)
bool config_require(const struct config *config, unsigned needs, char *error, size_t cap);
/* How mails are sent; borrows. False: what is said of it does not fit together. */
bool config_smtp(const struct config *config, struct smtp_options *options, char *error, size_t cap);

#endif
