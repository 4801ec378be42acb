#include "service/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "service/demo_internal.h"
#include "service/people.h"
#include "service/view.h"

/* ---- the program ---- */

#define PROGRAM_NAME "Trailhead Outfitters"
#define ADMIN_EMAIL  "admin@example.com"
#define API_USER     "Shop server"

static const char *const groups[] = {
    "{\"name\":\"Standard\",\"commission\":{\"type\":\"percentage\",\"percentage\":\"20\"}}",
    "{\"name\":\"VIP\",\"commission\":{\"type\":\"percentage\",\"percentage\":\"30\"},"
    "\"minimum_payout\":{\"amount\":\"100.00\",\"currency\":\"EUR\"},\"payout_frequency\":\"weekly\"}",
    "{\"name\":\"Strategic Partners\",\"commission\":{\"type\":\"tiered\",\"tiers\":["
    "{\"from\":0,\"percentage\":\"20\"},{\"from\":10,\"percentage\":\"25\"},{\"from\":50,\"percentage\":\"32.5\"}]},"
    "\"minimum_payout\":{\"amount\":\"250.00\",\"currency\":\"EUR\"}}",
};
enum { STANDARD, VIP, PARTNERS };
_Static_assert(sizeof(groups) / sizeof(groups[0]) == DEMO_GROUPS, "room for each");

/* The first one is the affiliate of demo.json. */
static const struct {
    const char *name, *email, *status;
    int         group;
} affiliates[] = {
    { "Ada Berg, Trail Notes", "ada@example.com", "approved", STANDARD },
    { "Summit Magazine", "editors@example.net", "approved", VIP },
    { "Northern Media Network", "partners@example.org", "approved", PARTNERS },
    { "Pine & Pixel", "hello@pine.example", "pending", STANDARD },
    { "Bargain Harbor", "deals@harbor.example", "suspended", STANDARD },
    { "Old Mill Coupons", "office@oldmill.example", "terminated", STANDARD },
};
_Static_assert(sizeof(affiliates) / sizeof(affiliates[0]) == DEMO_AFFILIATES, "room for each");

static const char *const campaigns[] = {
    "{\"name\":\"Spring Collection\",\"window_days\":30,\"fallback\":\"https://shop.example.com/\"}",
    "{\"name\":\"Outdoor Classics\",\"window_days\":60,\"fallback\":\"https://shop.example.com/\"}",
};
_Static_assert(sizeof(campaigns) / sizeof(campaigns[0]) == DEMO_CAMPAIGNS, "room for each");

/* The first one is what everybody tries: active, of an approved affiliate in group Standard. */
static const struct {
    int         affiliate, campaign;
    const char *destination;
} links[] = {
    { 0, 0, "https://shop.example.com/spring?cid={click_id}&partner={affiliate_id}&src={source}&s1={sub1}" },
    { 0, 1, "https://shop.example.com/classics?cid={click_id}&partner={affiliate_id}" },
    { 1, 0, "https://shop.example.com/spring?cid={click_id}&utm_source={affiliate}&utm_campaign={campaign}" },
    { 2, 1, "https://shop.example.com/classics?cid={click_id}&ref={ref_id}" },
    { 3, 0, "https://shop.example.com/spring?cid={click_id}" },
    { 5, 0, "https://shop.example.com/spring?cid={click_id}" },
};
#define LINKS (sizeof(links) / sizeof(links[0]))

/* ---- filling in ---- */

const struct actor demo_actor = { "cli", "system", NULL, 0 };

static enum service_result read_file(struct demo *demo);
static enum service_result fill_admin(struct demo *demo);
static enum service_result fill_program(struct demo *demo);
static enum service_result fill_catalog(struct demo *demo);
static enum service_result fill_links(struct demo *demo);
static enum service_result fill_affiliate(struct demo *demo);
static enum service_result fill_api_user(struct demo *demo);

enum service_result
demo_fill(const struct service *service, const struct demo_options *options, struct service_error *error)
{
    static enum service_result (*const steps[])(struct demo *) = {
        read_file, fill_program, fill_admin, fill_catalog, fill_affiliate, fill_api_user, fill_links, demo_leads, demo_write,
    };
    struct demo         demo = { .service = service, .options = options, .error = error };
    enum service_result result = SERVICE_OK;

    for (size_t i = 0; result == SERVICE_OK && i < sizeof(steps) / sizeof(steps[0]); i++)
        result = steps[i](&demo);

    for (int i = 0; i < DEMO_GROUPS; i++)
        json_decref(demo.groups[i]);
    for (size_t i = 0; i < DEMO_AFFILIATES; i++)
        json_decref(demo.affiliates[i]);
    for (size_t i = 0; i < DEMO_CAMPAIGNS; i++)
        json_decref(demo.campaigns[i]);
    json_decref(demo.file);
    return result;
}

struct search {
    const struct list_spec *spec;
    struct list_query       query;
    json_t                 *page;
    struct service_error   *error;
};

static enum db_result
run_search(struct db *db, void *ctx)
{
    struct search *search = ctx;

    json_decref(search->page);
    search->page = NULL;
    return list_run(db, search->spec, &search->query, &search->page, search->error) == SERVICE_OK ? DB_OK : DB_ABORT;
}

const char *
demo_member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

enum service_result
demo_find(struct demo *demo, const struct list_spec *spec, const struct list_query *query, const char *key,
     const char *value, json_t **object)
{
    struct search       search = { .spec = spec, .query = *query, .error = demo->error };
    enum service_result result;
    enum db_result      rc;
    json_t             *candidate;
    size_t              i;

    search.query.sort = "created_at";
    search.query.page_size = LIST_PAGE_MAX;
    rc = db_read(demo->service->pool, run_search, &search);
    result = rc == DB_OK ? SERVICE_OK : service_from_db(demo->error, rc, "demo");
    *object = NULL;
    json_array_foreach(json_object_get(search.page, "data"), i, candidate) {
        if (*object == NULL && (key == NULL || strcmp(demo_member(candidate, key), value) == 0))
            *object = json_incref(candidate);
    }
    json_decref(search.page);
    return result;
}

enum service_result
demo_ensure(struct demo *demo, const struct list_spec *spec, const char *key, demo_create create, json_t *body,
       json_t **object, bool *made)
{
    struct list_query   query = { .count = 1, .filters = { { "q", demo_member(body, key) } } };
    enum service_result result = demo_find(demo, spec, &query, key, demo_member(body, key), object);

    if (made != NULL)
        *made = result == SERVICE_OK && *object == NULL;
    if (result == SERVICE_OK && *object == NULL)
        result = create(demo->service, &demo_actor, body, object, demo->error);
    json_decref(body);
    return result;
}

static void
random_password(char text[SECRET_MAX])
{
    unsigned char bytes[18];

    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2base64(text, SECRET_MAX, bytes, sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* A program that somebody has named is left as it is. */
static enum service_result
fill_program(struct demo *demo)
{
    json_t             *settings = NULL, *patch;
    int64_t             id;
    enum service_result result = program_ensure(demo->service, &id, demo->error);

    if (result == SERVICE_OK)
        result = settings_get(demo->service, &settings, demo->error);
    if (result == SERVICE_OK && strcmp(demo_member(settings, "program_name"), PROGRAM_UNNAMED) == 0) {
        json_decref(settings);
        patch = json_pack("{s:s, s:s}", "program_name", PROGRAM_NAME, "currency", "EUR");
        result = settings_edit(demo->service, &demo_actor, 0, patch, &settings, demo->error);
        json_decref(patch);
    }
    json_decref(settings);
    return result;
}

static enum service_result
lost(struct demo *demo)
{
    return service_refuse(demo->error, SERVICE_CONFLICT, "demo_file_lost",
                          "The demo was filled in before, and %s is gone. Its passwords cannot be read back: make new "
                          "credentials with `user create` and `token create`, or start with an empty state folder.",
                          demo->options->file);
}

/* The password goes into the file before the account is made: no crash leaves an account that nobody can enter. */
static enum service_result
fill_admin(struct demo *demo)
{
    struct list_query   query = { .count = 1, .filters = { { "email", ADMIN_EMAIL } } };
    json_t             *admin = json_object_get(demo->file, "admin"), *staff, *body;
    char                secret[SECRET_MAX];
    struct session      session;
    enum service_result result = demo_find(demo, &staff_list, &query, NULL, NULL, &staff);

    if (result == SERVICE_OK && staff != NULL && demo_member(admin, "password") == NULL)
        result = lost(demo);
    if (result == SERVICE_OK && demo_member(admin, "password") == NULL) {
        random_password(secret);
        admin = json_pack("{s:s, s:s}", "email", ADMIN_EMAIL, "password", secret);
        json_object_set_new(demo->file, "admin", admin);
        result = demo_write(demo);
    }
    if (result == SERVICE_OK && staff == NULL) {
        body = json_pack("{s:s, s:s, s:s, s:s}", "email", ADMIN_EMAIL, "name", "Demo admin", "role", "admin", "password",
                         demo_member(admin, "password"));
        result = staff_create(demo->service, &demo_actor, body, NULL, demo->error);
        json_decref(body);
    }
    json_decref(staff);
    if (result != SERVICE_OK || token_find(demo->service, demo_member(admin, "token"), &session, demo->error) == SERVICE_OK)
        return result;
    service_error_clear(demo->error);
    result = token_create(demo->service, &demo_actor, ADMIN_EMAIL, "demo.json", secret, demo->error);
    if (result == SERVICE_OK) {
        json_object_set_new(admin, "token", json_string(secret));
        result = demo_write(demo);
    }
    return result;
}

static enum service_result
fill_catalog(struct demo *demo)
{
    enum service_result result = SERVICE_OK;

    for (int i = 0; result == SERVICE_OK && i < DEMO_GROUPS; i++) {
        result = demo_ensure(demo, &group_list, "name", group_create, json_loads(groups[i], 0, NULL), &demo->groups[i], NULL);
    }
    for (size_t i = 0; result == SERVICE_OK && i < DEMO_AFFILIATES; i++) {
        json_t *body = json_pack("{s:s, s:s, s:s, s:O}", "name", affiliates[i].name, "email", affiliates[i].email,
                                 "status", affiliates[i].status, "group_id",
                                 json_object_get(demo->groups[affiliates[i].group], "id"));
        bool    made;

        result = demo_ensure(demo, &affiliate_list, "email", affiliate_create, body, &demo->affiliates[i], &made);
        if (i == 0)
            demo->affiliate_is_new = made;
    }
    for (size_t i = 0; result == SERVICE_OK && i < DEMO_CAMPAIGNS; i++) {
        result = demo_ensure(demo, &campaign_list, "name", campaign_create, json_loads(campaigns[i], 0, NULL),
                        &demo->campaigns[i], NULL);
    }
    return result;
}

/* The password of the first affiliate: the file has it when, and only when, its hash is stored. */
static enum service_result
fill_affiliate(struct demo *demo)
{
    char                password[SECRET_MAX];
    int64_t             id;
    enum service_result result;

    if (!demo->affiliate_is_new && demo_member(json_object_get(demo->file, "affiliate"), "password") != NULL)
        return SERVICE_OK;
    random_password(password);
    if (!view_parse_id(demo_member(demo->affiliates[0], "id"), &id))
        return service_refuse(demo->error, SERVICE_FAILED, "internal_error", "An affiliate has no id.");
    result = affiliate_set_password(demo->service, &demo_actor, id, password, demo->error);
    if (result != SERVICE_OK)
        return result;
    json_object_set_new(demo->file, "affiliate",
                        json_pack("{s:s, s:s}", "email", affiliates[0].email, "password", password));
    return demo_write(demo);
}

/* Whether one of the user's active keys begins as the file's key does. */
static bool
has_key(const json_t *user, const char *key)
{
    json_t *entry;
    size_t  i;

    json_array_foreach(json_object_get(user, "keys"), i, entry) {
        const char *prefix = demo_member(entry, "prefix");

        if (key != NULL && prefix != NULL && strncmp(key, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

typedef enum service_result (*renew_call)(const struct service *, const struct actor *, int64_t, json_t **,
                                          struct service_error *);

/* Tells the file what it does not know, or not any more: of a new user's answer, or of a renewed one. */
static enum service_result
tell_api_user(struct demo *demo, json_t *file, const json_t *user, const char *name, bool known, renew_call renew)
{
    json_t             *renewed = NULL;
    const char         *text = demo_member(user, name);
    enum service_result result = SERVICE_OK;
    int64_t             id;

    if (text == NULL && known)
        return SERVICE_OK;
    if (text == NULL && view_parse_id(demo_member(user, "id"), &id)) {
        result = renew(demo->service, &demo_actor, id, &renewed, demo->error);
        text = demo_member(renewed, name);
    }
    if (result == SERVICE_OK && text != NULL) {
        json_object_set_new(file, name, json_string(text));
        result = demo_write(demo);
    }
    json_decref(renewed);
    return result;
}

enum service_result
demo_api_user(struct demo *demo, const char *name, json_t *body)
{
    json_t             *user, *file;
    enum service_result result = demo_ensure(demo, &api_user_list, "name", api_user_create, body, &user, NULL);
    bool                known;

    if (result != SERVICE_OK)
        return result;
    if (!json_is_object(json_object_get(demo->file, name)))
        json_object_set_new(demo->file, name, json_object());
    file = json_object_get(demo->file, name);
    known = has_key(user, demo_member(file, "key"));
    result = tell_api_user(demo, file, user, "key", known, api_key_add);
    if (result == SERVICE_OK) /* whose key is gone, his secret is gone too */
        result = tell_api_user(demo, file, user, "secret", known && demo_member(file, "secret") != NULL, api_secret_renew);
    json_decref(user);
    return result;
}

static enum service_result
fill_api_user(struct demo *demo)
{
    return demo_api_user(demo, "api_user",
                         json_pack("{s:s, s:s, s:[s]}", "name", API_USER, "role", "advertiser", "scopes",
                                   "conversions:write"));
}

static enum service_result
fill_links(struct demo *demo)
{
    json_t             *list = json_array();
    enum service_result result = SERVICE_OK;

    json_object_set_new(demo->file, "links", list);
    for (size_t i = 0; result == SERVICE_OK && i < LINKS; i++) {
        json_t           *affiliate = json_object_get(demo->affiliates[links[i].affiliate], "id");
        json_t           *campaign = json_object_get(demo->campaigns[links[i].campaign], "id"), *link = NULL;
        struct list_query query = { .count = 2,
                                    .filters = { { "affiliate_id", json_string_value(affiliate) },
                                                 { "campaign_id", json_string_value(campaign) } } };

        result = demo_find(demo, &link_list, &query, NULL, NULL, &link);
        if (result == SERVICE_OK && link == NULL) {
            json_t *body = json_pack("{s:O, s:O, s:s}", "affiliate_id", affiliate, "campaign_id", campaign, "destination",
                                     links[i].destination);

            result = link_create(demo->service, &demo_actor, body, &link, demo->error);
            json_decref(body);
        }
        if (result == SERVICE_OK)
            json_array_append_new(list, json_pack("{s:O, s:O, s:O}", "code", json_object_get(link, "code"),
                                                  "affiliate_id", affiliate, "campaign_id", campaign));
        json_decref(link);
    }
    return result;
}

/* ---- the file ---- */

static enum service_result
file_trouble(struct demo *demo, const char *what)
{
    return service_refuse(demo->error, SERVICE_FAILED, "demo_file", "Cannot %s %.150s: %s.", what, demo->options->file,
                          strerror(errno));
}

static enum service_result
read_file(struct demo *demo)
{
    json_error_t problem;
    FILE        *in = fopen(demo->options->file, "re");

    if (in == NULL && errno != ENOENT)
        return file_trouble(demo, "read");
    if (in != NULL) {
        demo->file = json_loadf(in, JSON_REJECT_DUPLICATES, &problem);
        fclose(in);
        if (!json_is_object(demo->file))
            return service_refuse(demo->error, SERVICE_CONFLICT, "demo_file_broken",
                                  "%.150s is no JSON object any more; move it away to start afresh.",
                                  demo->options->file);
    }
    if (demo->file == NULL)
        demo->file = json_object();
    return SERVICE_OK;
}

/* Beside it, to the disk, and into its place: a reader sees the old one or the new one. */
static bool
replace(const char *path, const char *text)
{
    size_t len = strlen(text);
    char  *beside = NULL;
    int    fd, error = 0;

    if (asprintf(&beside, "%s.XXXXXX", path) < 0)
        return false;
    fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0 || write(fd, text, len) != (ssize_t) len || fsync(fd) != 0 || rename(beside, path) != 0)
        error = errno == 0 ? EIO : errno;
    if (fd >= 0 && error != 0)
        unlink(beside);
    if (fd >= 0)
        close(fd);
    free(beside);
    errno = error;
    return error == 0;
}

enum service_result
demo_write(struct demo *demo)
{
    json_t             *file = demo->file;
    char               *text;
    enum service_result result = SERVICE_OK;

    json_object_set_new(file, "base_url", json_string(demo->service->base_url));
    json_object_set_new(file, "redis_url", json_string(demo->options->redis_url));
    json_object_set_new(file, "affiliated", json_string(demo->options->affiliated));
    json_object_set_new(file, "config", json_string(demo->options->config));

    text = json_dumps(file, JSON_INDENT(2));
    if (text == NULL)
        return service_refuse(demo->error, SERVICE_FAILED, "demo_file", "There is something in the demo's file that is "
                                                                        "no JSON.");
    errno = 0;
    if (!replace(demo->options->file, text))
        result = file_trouble(demo, "write");
    sodium_memzero(text, strlen(text));
    free(text);
    return result;
}
