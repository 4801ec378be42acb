/* The demo's leads: who gets them, a partner that sends some, and two forms. */
#include "service/demo_internal.h"
#include "service/intake.h"
#include "service/people.h"

#define LEAD_USER "Trail Notes"
#define PLATFORM  "https://platform.example.com/login"

static const char *const forms[] = {
    "{\"name\":\"Newsletter\",\"title\":\"Routes worth the climb\","
    "\"intro\":\"One letter a month: a route, a map, and what to pack.\",\"button\":\"Send me the next one\","
    "\"success_message\":\"Thank you. The next letter is on its way.\",\"frame_ancestors\":[\"*\"],"
    "\"fields\":[{\"name\":\"first_name\",\"label\":\"First name\",\"type\":\"text\"},"
    "{\"name\":\"email\",\"label\":\"E-mail address\",\"type\":\"email\",\"required\":true},"
    "{\"name\":\"interest\",\"label\":\"What do you like best?\",\"type\":\"select\",\"options\":["
    "{\"value\":\"hiking\",\"label\":\"Hiking\"},{\"value\":\"climbing\",\"label\":\"Climbing\"},"
    "{\"value\":\"skiing\",\"label\":\"Ski touring\"}]},"
    "{\"name\":\"newsletter\",\"label\":\"Consent\",\"type\":\"consent\",\"required\":true,"
    "\"text\":\"I agree to get the letter by e-mail, and can leave at any time.\"}]}",
    "{\"name\":\"Open an account\",\"title\":\"Open your account\",\"account\":\"cpa\",\"after_submit\":\"autologin\","
    "\"intro\":\"It takes a minute, and you are in.\",\"button\":\"Open my account\","
    "\"theme\":{\"accent\":\"#1f6f54\",\"radius\":10},\"frame_ancestors\":[\"*\"],"
    "\"fields\":[{\"name\":\"first_name\",\"label\":\"First name\",\"type\":\"text\",\"required\":true},"
    "{\"name\":\"last_name\",\"label\":\"Last name\",\"type\":\"text\",\"required\":true},"
    "{\"name\":\"email\",\"label\":\"E-mail address\",\"type\":\"email\",\"required\":true},"
    "{\"name\":\"phone\",\"label\":\"Phone\",\"type\":\"phone\",\"help\":\"With your country's code\"},"
    "{\"name\":\"country\",\"label\":\"Country\",\"type\":\"country\",\"required\":true}]}",
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

static const char *const custom_fields[] = {
    "{\"name\":\"interest\",\"label\":\"What do you like best?\",\"type\":\"select\","
    "\"options\":[\"hiking\",\"climbing\",\"skiing\"]}",
    "{\"name\":\"newsletter\",\"label\":\"Newsletter\",\"type\":\"consent\"}",
};

/* A department with the demo's admin in it, and the source that it works on. */
static enum service_result
fill_source(struct demo *demo, json_t **source)
{
    struct list_query   query = { .count = 1, .filters = { { "role", "admin" } } };
    json_t             *staff = NULL, *department = NULL, *body;
    enum service_result result = demo_find(demo, &staff_list, &query, NULL, NULL, &staff);

    if (result == SERVICE_OK) {
        body = json_pack("{s:s, s:[{s:O, s:i, s:i}]}", "name", "Advisers", "members", "staff_id", json_object_get(staff, "id"),
                         "weight", 1, "cap_day", 200);
        result = demo_ensure(demo, &department_list, "name", department_create, body, &department, NULL);
    }
    if (result == SERVICE_OK) {
        body = json_pack("{s:s, s:O}", "name", LEAD_USER, "department_id", json_object_get(department, "id"));
        result = demo_ensure(demo, &source_list, "name", source_create, body, source, NULL);
    }
    json_decref(staff);
    json_decref(department);
    return result;
}

/* The first affiliate sends leads by the API: demo.json's lead_user. */
static enum service_result
fill_lead_user(struct demo *demo, const json_t *source)
{
    return demo_api_user(demo, "lead_user",
                         json_pack("{s:s, s:s, s:[s, s], s:O, s:O, s:b}", "name", LEAD_USER, "role", "affiliate", "scopes",
                                   "leads:write", "leads:read", "affiliate_id", json_object_get(demo->affiliates[0], "id"),
                                   "source_id", json_object_get(source, "id"), "autologin", 1));
}

/* Where autologins lead, unless somebody has set it: the platform redeems them with the key of its API user. */
static enum service_result
fill_platform(struct demo *demo)
{
    json_t             *settings = NULL, *user = NULL, *patch;
    struct list_query   query = { .count = 1, .filters = { { "q", "Platform" } } };
    enum service_result result = demo_api_user(demo, "platform_user",
                                               json_pack("{s:s, s:s, s:[s]}", "name", "Platform", "role", "advertiser",
                                                         "scopes", "autologin"));

    if (result == SERVICE_OK)
        result = demo_find(demo, &api_user_list, &query, "name", "Platform", &user);
    if (result == SERVICE_OK)
        result = settings_get(demo->service, &settings, demo->error);
    if (result == SERVICE_OK && demo_member(settings, "platform_url")[0] == '\0') {
        patch = json_pack("{s:s, s:O}", "platform_url", PLATFORM, "platform_user_id", json_object_get(user, "id"));
        json_decref(settings);
        result = settings_edit(demo->service, &demo_actor, 0, patch, &settings, demo->error);
        json_decref(patch);
    }
    json_decref(user);
    json_decref(settings);
    return result;
}

/* With the source of the partner; demo.json's forms are {"key","name","url"}. */
static enum service_result
fill_forms(struct demo *demo, const json_t *source)
{
    json_t             *list = json_array(), *form, *body;
    enum service_result result = SERVICE_OK;

    json_object_set_new(demo->file, "forms", list);
    for (size_t i = 0; result == SERVICE_OK && i < sizeof(custom_fields) / sizeof(custom_fields[0]); i++) {
        result = demo_ensure(demo, &custom_field_list, "name", custom_field_create, json_loads(custom_fields[i], 0, NULL),
                             &form, NULL);
        json_decref(form);
    }
    for (size_t i = 0; result == SERVICE_OK && i < FORMS; i++) {
        body = json_loads(forms[i], 0, NULL);
        json_object_set(body, "source_id", json_object_get(source, "id"));
        result = demo_ensure(demo, &form_list, "name", form_create, body, &form, NULL);
        list_complete(&form_list, form, demo->service);
        if (result == SERVICE_OK)
            json_array_append_new(list, json_pack("{s:O, s:O, s:O}", "key", json_object_get(form, "key"), "name",
                                                  json_object_get(form, "name"), "url", json_object_get(form, "url")));
        json_decref(form);
    }
    return result;
}

enum service_result
demo_leads(struct demo *demo)
{
    json_t             *source = NULL;
    enum service_result result = fill_source(demo, &source);

    if (result == SERVICE_OK)
        result = fill_lead_user(demo, source);
    if (result == SERVICE_OK)
        result = fill_platform(demo);
    if (result == SERVICE_OK)
        result = fill_forms(demo, source);
    json_decref(source);
    return result;
}
