#include "service/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/audit.h"

static bool
is_secret(const char *name)
{
    static const char *const prefixes[] = { "password", "secret", "token", "key", NULL };

    for (int i = 0; prefixes[i] != NULL; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

/*
 * The object as text without its secret members; NULL for no memory.  Secrets
 * stand at the top level only: they are never nested in a resource.
 */
static char *
redacted(const json_t *object)
{
    json_t     *copy = json_copy((json_t *) object), *value;
    const char *name;
    void       *next;
    char       *text;

    if (copy == NULL)
        return NULL;
    json_object_foreach_safe(copy, next, name, value) {
        if (is_secret(name))
            json_object_del(copy, name);
    }
    text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(copy);
    return text;
}

enum db_result
audit_write(struct db *db, const struct actor *actor, uint64_t at_us, const char *action, const char *object_type,
            int64_t object_id, const json_t *before, const json_t *after, const char *reason)
{
    char  id[24];
    bool  was = before != NULL && !json_is_null(before), is = after != NULL && !json_is_null(after);
    char *before_text = was ? redacted(before) : NULL, *after_text = is ? redacted(after) : NULL;
    struct audit_row row = {
        .at_us = (int64_t) at_us,
        .actor = actor->name,
        .action = action,
        .object_type = object_type,
        .object_id = id,
        .before = before_text,
        .after = after_text,
        .reason = reason,
    };
    enum db_result rc = DB_FAILED;

    snprintf(id, sizeof(id), "%" PRId64, object_id);
    if ((!was || before_text != NULL) && (!is || after_text != NULL))
        rc = audit_append(db, &row);
    free(before_text);
    free(after_text);
    return rc;
}
