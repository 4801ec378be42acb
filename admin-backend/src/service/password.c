#include "service/password.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

/* About 0.1 s and 64 MiB each: two at once and as many in line keep both bounded under a flood of log-ins. */
#define ARGON_OPS     2
#define ARGON_MEM     (64u << 20)
#define ARGON_AT_ONCE 2
#define ARGON_IN_LINE 2

_Static_assert(PASSWORD_HASH_MAX == crypto_pwhash_STRBYTES, "a hash has room");

static pthread_mutex_t argon_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  argon_free = PTHREAD_COND_INITIALIZER;
static int             argon_running, argon_waiting;

static const char *complaint_about(const char *password, const char *email);

static enum service_result
argon_enter(struct service_error *error)
{
    bool full;

    pthread_mutex_lock(&argon_lock);
    full = argon_waiting == ARGON_IN_LINE;
    if (!full) {
        argon_waiting++;
        while (argon_running == ARGON_AT_ONCE)
            pthread_cond_wait(&argon_free, &argon_lock);
        argon_waiting--;
        argon_running++;
    }
    pthread_mutex_unlock(&argon_lock);
    return full ? service_refuse(error, SERVICE_UNAVAILABLE, "busy", "Many people log in just now; try again.")
                : SERVICE_OK;
}

static void
argon_leave(void)
{
    pthread_mutex_lock(&argon_lock);
    argon_running--;
    pthread_cond_signal(&argon_free);
    pthread_mutex_unlock(&argon_lock);
}

enum service_result
password_keep(const char *password, const char *email, char hash[PASSWORD_HASH_MAX], struct service_error *error)
{
    const char         *complaint = complaint_about(password, email);
    enum service_result result = complaint == NULL ? argon_enter(error) : service_invalid(error, "password", complaint);

    if (result != SERVICE_OK)
        return result;
    if (crypto_pwhash_str(hash, password, strlen(password), ARGON_OPS, ARGON_MEM) != 0)
        result = service_refuse(error, SERVICE_UNAVAILABLE, "no_memory", "The server is short of memory; try again.");
    argon_leave();
    return result;
}

/* A hash of what nobody knows, with the costs of ours: its 32 bytes were drawn at random, not computed. */
static const char decoy[] = "$argon2id$v=19$m=65536,t=2,p=1"
                            "$jfARGwwgONTtWKyT5T5piw$/SoFhlgpF0QjdrSkZZ7ePie7w9U1XD2yE4Lo/aKXZ7c";

enum service_result
password_check(const char *hash, const char *password, bool *matches, struct service_error *error)
{
    enum service_result result = argon_enter(error);

    if (result != SERVICE_OK)
        return result;
    *matches = crypto_pwhash_str_verify(hash == NULL ? decoy : hash, password, strlen(password)) == 0 && hash != NULL;
    argon_leave();
    return SERVICE_OK;
}

/* What people type when asked for twelve characters; the list is short because length does most of the work. */
static const char *const common_passwords[] = {
    "123456789012",   "1234567890123", "password1234", "passwordpassword", "qwertyuiop123", "qwertyuiop12",
    "administrator",  "adminadminadmin", "letmeinletmein", "iloveyou1234", "welcome12345",  "changemechangeme",
    "affiliate123",   "affiliateadmin",  NULL,
};

static const char *
complaint_about(const char *password, const char *email)
{
    size_t len = password == NULL ? 0 : strlen(password), distinct = 0;
    bool   seen[256] = { false };

    if (len < PASSWORD_MIN || len > PASSWORD_MAX)
        return "needs 12 to 200 bytes";
    for (size_t i = 0; i < len; i++) {
        distinct += !seen[(unsigned char) password[i]];
        seen[(unsigned char) password[i]] = true;
    }
    if (distinct < 5)
        return "repeats too few characters";
    if (email != NULL && strncasecmp(password, email, strcspn(email, "@")) == 0
        && len <= strcspn(email, "@") + 4)
        return "is too close to the e-mail address";
    if (email != NULL && strcasecmp(password, email) == 0)
        return "is the e-mail address";
    for (int i = 0; common_passwords[i] != NULL; i++) {
        if (strcasecmp(password, common_passwords[i]) == 0)
            return "is among the most common ones";
    }
    return NULL;
}
