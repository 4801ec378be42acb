/* Forms: what they ask for, how they look, and where they lead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "service/destination.h"
#include "service/form_definition.h"
#include "service/form_page.h"
#include "service/form_words.h"
#include "service/hosts.h"
#include "service/intake.h"
#include "service/kind.h"
#include "service/origins.h"

enum {
    NAME, SOURCE, AFFILIATE, ACCOUNT, FORM_FIELDS, LANGUAGE, TITLE, INTRO, BUTTON, SUCCESS, AFTER, AFTER_URL, FRAMES,
    ORIGINS, THEME, MIN_FILL, RATE, CONFIRM, STATE, FIELDS
};

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct form_row, member)
#define KEY_BYTES  12 /* 96 random bits: nobody finds a form by trying */
#define KEY_LEN    16

static bool read_fields(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL, AT(name), NULL },
    [SOURCE] = { "source_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(source_id), NULL },
    [AFFILIATE] = { "affiliate_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(affiliate_id), NULL },
    [ACCOUNT] = { "account", FIELD_CHOICE, 0, 0, 0, "cpl|cpa", AT(account), NULL },
    [FORM_FIELDS] = { "fields", FIELD_READ, FIELD_REQUIRED, 0, 0, NULL, AT(fields), read_fields },
    [LANGUAGE] = { "language", FIELD_CHOICE, 0, 0, 0, FORM_LANGUAGES, AT(language), NULL },
    [TITLE] = { "title", FIELD_TEXT, 0, 0, 200, NULL, AT(title), NULL },
    [INTRO] = { "intro", FIELD_TEXT, 0, 0, 4000, NULL, AT(intro), NULL },
    [BUTTON] = { "button", FIELD_TEXT, 0, 0, 60, NULL, AT(button), NULL },
    [SUCCESS] = { "success_message", FIELD_TEXT, 0, 0, 4000, NULL, AT(success_message), NULL },
    [AFTER] = { "after_submit", FIELD_CHOICE, 0, 0, 0, "message|url|autologin", AT(after_submit), NULL },
    [AFTER_URL] = { "after_url", FIELD_TEXT, 0, 0, DESTINATION_MAX, NULL, AT(after_url), NULL },
    [FRAMES] = { "frame_ancestors", FIELD_READ, 0, 0, 0, NULL, AT(frame_ancestors), ancestors_read },
    [ORIGINS] = { "origins", FIELD_READ, 0, 0, 0, NULL, AT(origins), origins_read },
    [THEME] = { "theme", FIELD_READ, 0, 0, 0, NULL, AT(theme), theme_read },
    [MIN_FILL] = { "min_fill_s", FIELD_INT, 0, 0, 600, NULL, AT(min_fill_s), NULL },
    [RATE] = { "rate_per_minute", FIELD_INT, 0, 0, 1000000, NULL, AT(rate_minute), NULL },
    [CONFIRM] = { "double_opt_in", FIELD_BOOL, 0, 0, 0, NULL, AT(confirm), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|paused|archived", AT(state), NULL },
};
static const struct form_row initial = {
    .account = (char *) "cpl",         .language = (char *) "en",        .title = (char *) "",
    .intro = (char *) "",              .button = (char *) "",            .success_message = (char *) "",
    .after_submit = (char *) "message", .after_url = (char *) "",        .frame_ancestors = (char *) "[]",
    .origins = (char *) "[]",          .theme = (char *) "{}",           .min_fill_s = 2,
    .rate_minute = 20,                 .state = (char *) "active",
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);

static const struct kind form_kind = {
    .name = "form", .object = "form", .create = "form.create", .edit = "form.edit", .duplicate = "key",
    .fields = fields, .table = &form_table, .list = &form_list, .initial = &initial, .program = AT(program_id),
    .check = check,
};

enum service_result
form_create(const struct service *service, const struct actor *actor, const json_t *body, json_t **object,
            struct service_error *error)
{
    char key[KEY_LEN + 1] = "";

    return kind_create(&form_kind, service, actor, body, key, object, error);
}

enum service_result
form_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
          const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&form_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static enum service_result
set_state(struct db *db, struct change *change, struct service_error *error)
{
    (void) db;
    (void) error;
    change->row.form.state = change->ctx;
    return SERVICE_OK;
}

enum service_result
form_act(const struct service *service, const struct actor *actor, int64_t id, const char *action, const char *reason,
         json_t **object, struct service_error *error)
{
    static const struct {
        const char *action, *audit, *state;
    } actions[] = {
        { "activate", "form.activate", "active" },
        { "pause", "form.pause", "paused" },
        { "archive", "form.archive", "archived" },
    };

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(action, actions[i].action) == 0)
            return kind_alter(&form_kind, service, actor, id, actions[i].audit, reason, set_state,
                              (void *) (uintptr_t) actions[i].state, object, error);
    }
    return service_invalid(error, "action", "is none of activate, pause, archive");
}

static bool
read_fields(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    uint8_t *compiled;
    size_t   len;

    if (!form_compile(json, &compiled, &len, complaint))
        return false;
    free(compiled);
    if (!form_has_contact(json)) {
        snprintf(complaint, FIELD_COMPLAINT_MAX, "ask for no way to answer: \"email\" or \"phone\" must be a required field");
        return false;
    }
    snprintf(complaint, FIELD_COMPLAINT_MAX, "cannot be kept now");
    value->text = json_dumps(json, JSON_COMPACT);
    return value->text != NULL;
}

/* ---- steps ---- */

static enum service_result
check_custom_field(struct db *db, const char *name, const char *type, struct service_error *error)
{
    char           complaint[FIELD_COMPLAINT_MAX], *there = NULL;
    enum db_result rc = custom_field_type(db, name, &there);
    bool           same = rc == DB_ROW && (strcmp(there, type) == 0 || strcmp(type, "hidden") == 0);

    if (rc == DB_ROW && !same)
        snprintf(complaint, sizeof(complaint), "have \"%.64s\" as %s, which is a custom field of type %s", name, type, there);
    else if (!same)
        snprintf(complaint, sizeof(complaint), "name \"%.64s\", which is neither a standard field nor a custom field of leads",
                 name);
    free(there);
    if (rc != DB_ROW && rc != DB_DONE)
        return service_from_db(error, rc, "custom_field_type");
    return same ? SERVICE_OK : service_invalid(error, "fields", complaint);
}

static enum service_result
check_custom_fields(struct db *db, const json_t *list, struct service_error *error)
{
    enum service_result result = SERVICE_OK;
    json_t             *field;
    size_t              i;

    json_array_foreach(list, i, field) {
        const char *name = json_string_value(json_object_get(field, "name"));

        if (result == SERVICE_OK && !form_is_standard(name))
            result = check_custom_field(db, name, json_string_value(json_object_get(field, "type")), error);
    }
    return result;
}

/* The host of a URL, in lower case; "": it has none. */
static void
host_of(const char *url, char name[HOST_NAME_MAX_LEN + 1])
{
    struct tracker_str host = tracker_url_host((struct tracker_str){ url, strlen(url) });
    char               text[HOST_NAME_MAX_LEN + 2];

    name[0] = '\0';
    if (host.len == 0 || host.len >= sizeof(text))
        return;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    if (!host_name_read(text, name))
        name[0] = '\0';
}

static bool
leads_to_one_of(const char *url, const char *hosts)
{
    json_t *names = json_loads(hosts, 0, NULL), *item;
    char    name[HOST_NAME_MAX_LEN + 1];
    bool    found = false;
    size_t  i;

    host_of(url, name);
    json_array_foreach(names, i, item)
        found = found || (name[0] != '\0' && host_covered(json_string_value(item), name));
    json_decref(names);
    return found;
}

/* People who have given their name and number are not led to just anywhere. */
static enum service_result
check_url(const struct service *service, struct db *db, const struct form_row *row, struct service_error *error)
{
    char               *hosts = NULL;
    enum service_result result;
    enum db_result      rc;

    if (row->after_url[0] == '\0')
        return service_invalid(error, "after_url", "is needed: after_submit is url");
    result = destination_check_plain(service, db, row->after_url, "after_url", error);
    if (result != SERVICE_OK)
        return result;
    rc = setting_get(db, "leads_redirect_hosts", &hosts);
    if (rc == DB_OK && !leads_to_one_of(row->after_url, hosts == NULL ? "[]" : hosts))
        result = service_invalid(error, "after_url",
                                 "leads to a host that is not in the setting leads_redirect_hosts");
    free(hosts);
    return rc == DB_OK ? result : service_from_db(error, rc, "leads_redirect_hosts");
}

static enum service_result
check_platform(struct db *db, const struct form_row *row, struct service_error *error)
{
    struct program_row program;
    bool               has;
    enum db_result     rc = row_load(db, &program_table, row->program_id, &program);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program");
    has = program.platform_url[0] != '\0' && program.platform_user_id != 0;
    row_free(&program_table, &program);
    return has ? SERVICE_OK
               : service_invalid(error, "after_submit", "is autologin, but the program has no platform_url and platform_user_id");
}

static enum service_result
check_after(struct db *db, const struct change *change, struct service_error *error)
{
    const struct form_row *row = &change->row.form;

    if (strcmp(row->after_submit, "url") == 0)
        return check_url(change->decision.service, db, row, error);
    if (strcmp(row->after_submit, "autologin") == 0)
        return check_platform(db, row, error);
    return SERVICE_OK;
}

static bool
asks_for_email(const json_t *list)
{
    json_t *field;
    size_t  i;

    json_array_foreach(list, i, field) {
        const char *name = json_string_value(json_object_get(field, "name"));

        if (name != NULL && strcmp(name, "email") == 0)
            return json_is_true(json_object_get(field, "required"));
    }
    return false;
}

/* Whom we do not know yet we cannot lead into the platform, and where we cannot write to, we cannot ask. */
static enum service_result
check_confirm(const struct form_row *row, const json_t *list, struct service_error *error)
{
    if (row->confirm == 0 || strcmp(row->state, "archived") == 0)
        return SERVICE_OK;
    if (!asks_for_email(list))
        return service_invalid(error, "double_opt_in", "needs \"email\" as a required field");
    if (strcmp(row->after_submit, "autologin") == 0)
        return service_invalid(error, "double_opt_in", "does not go with after_submit autologin");
    return SERVICE_OK;
}

static enum service_result
check_references(struct db *db, const struct change *change, struct service_error *error)
{
    const struct form_row *row = &change->row.form;
    enum service_result    result = SERVICE_OK;

    if (change->values[SOURCE].given && row->source_id != 0)
        result = kind_reference(db, CATALOG_SOURCE, row->source_id, row->program_id, "source_id", error);
    if (result == SERVICE_OK && change->values[AFFILIATE].given && row->affiliate_id != 0)
        result = kind_reference(db, CATALOG_AFFILIATE, row->affiliate_id, row->program_id, "affiliate_id", error);
    return result;
}

/* Countries and long options fill a page; what edges could not serve is said here. */
static enum service_result
check_page(const struct form_row *row, const json_t *list, struct service_error *error)
{
    struct form_pages pages;
    bool              fits = form_pages_make(row, list, &pages);

    if (fits)
        form_pages_free(&pages);
    return fits ? SERVICE_OK : service_invalid(error, "fields", "make a page that is too long (128 KiB at most)");
}

static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    struct form_row    *row = &change->row.form;
    enum service_result result = check_references(db, change, error);
    json_t             *list;
    unsigned char       random[KEY_BYTES];

    if (row->key == NULL) {
        row->key = change->ctx;
        randombytes_buf(random, sizeof(random));
        sodium_bin2base64(row->key, KEY_LEN + 1, random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }
    if (result == SERVICE_OK && strcmp(row->state, "archived") != 0)
        result = check_after(db, change, error);
    list = json_loads(row->fields, 0, NULL);
    if (result == SERVICE_OK && change->values[FORM_FIELDS].given)
        result = check_custom_fields(db, list, error);
    if (result == SERVICE_OK)
        result = check_confirm(row, list, error);
    if (result == SERVICE_OK && strcmp(row->state, "archived") != 0) /* what is ruined can still be put away */
        result = check_page(row, list, error);
    json_decref(list);
    return result;
}

/* ---- the setting leads_redirect_hosts ---- */

struct hosts_check {
    const char *hosts;
    int64_t     form; /* the first that would lead elsewhere; 0: none */
};

static enum db_result
look_at_url(void *ctx, int64_t id, const char *url)
{
    struct hosts_check *check = ctx;

    if (leads_to_one_of(url, check->hosts))
        return DB_OK;
    check->form = id;
    return DB_ABORT;
}

enum service_result
form_check_hosts(struct db *db, const char *hosts, struct service_error *error)
{
    struct hosts_check look = { hosts, 0 };
    char               complaint[FIELD_COMPLAINT_MAX];
    enum db_result     rc = form_each_url(db, look_at_url, &look);

    if (rc != DB_OK && rc != DB_ABORT)
        return service_from_db(error, rc, "form_each_url");
    if (look.form == 0)
        return SERVICE_OK;
    snprintf(complaint, sizeof(complaint), "lacks the host that form %lld leads to", (long long) look.form);
    return service_invalid(error, "leads_redirect_hosts", complaint);
}
