/* Departments: agents who share leads, each by weight and up to a cap of the day. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/intake.h"
#include "service/kind.h"
#include "service/view.h"

enum { NAME, STATE, MEMBERS, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member)  offsetof(struct department_row, member)
#define MEMBERS_MAX 500
#define WEIGHT_MAX  1000
#define CAP_MAX     1000000

static bool read_members(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX]);

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, FIELD_REQUIRED, 1, 120, NULL, AT(name), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|archived", AT(state), NULL },
    [MEMBERS] = { "members", FIELD_READ, 0, 0, 0, NULL, 0, read_members },
};
static const struct department_row initial = {.state = (char *)"active"};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);
static enum service_result set_members(struct db *db, struct change *change, struct service_error *error);

static const struct kind department_kind = {
    .name = "department",
    .object = "department",
    .create = "department.create",
    .edit = "department.edit",
    .duplicate = "name",
    .fields = fields,
    .table = &department_table,
    .list = &department_list, .local = true,
    .initial = &initial,
    .check = check,
    .written = set_members,
};

enum service_result
department_create(const struct service *service, const struct actor *actor, const json_t *body,
                  json_t **object, struct service_error *error)
{
    return kind_create(&department_kind, service, actor, body, NULL, object, error);
}

enum service_result
department_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
                const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&department_kind, service, actor, id, if_version, patch, NULL, object, error);
}

enum service_result
intake_check_department(struct db *db, int64_t id, const char *field, struct service_error *error)
{
    bool is = true;
    enum db_result rc = id == 0 ? DB_OK : department_is_active(db, id, &is);

    if (rc != DB_OK)
        return service_from_db(error, rc, "department_is_active");
    return is ? SERVICE_OK : service_invalid(error, field, "names no active department");
}

enum service_result
intake_check_agent(struct db *db, int64_t id, const char *field, struct service_error *error)
{
    bool does = true;
    enum db_result rc = id == 0 ? DB_OK : staff_works_on_leads(db, id, &does);

    if (rc != DB_OK)
        return service_from_db(error, rc, "staff_works_on_leads");
    return does ? SERVICE_OK : service_invalid(error, field, "names no active agent, manager or admin");
}

/* ---- members ---- */

static bool
in_range(const json_t *number, int64_t max)
{
    return number == NULL ||
           (json_is_integer(number) && json_integer_value(number) >= 0 && json_integer_value(number) <= max);
}

/* {"staff_id":"3","weight":2,"cap_day":50}: the last two may be left out. */
static bool
is_member(const json_t *item, int64_t *staff_id)
{
    const json_t *weight = json_object_get(item, "weight"), *cap = json_object_get(item, "cap_day");
    size_t known = 1 + (weight != NULL) + (cap != NULL);

    return view_parse_id(json_string_value(json_object_get(item, "staff_id")), staff_id) &&
           json_object_size(item) == known && in_range(weight, WEIGHT_MAX) && in_range(cap, CAP_MAX);
}

static bool
read_members(const json_t *json, struct value *value, char complaint[FIELD_COMPLAINT_MAX])
{
    int64_t seen[MEMBERS_MAX];
    json_t *item;
    size_t i;

    (void)value;
    snprintf(
        complaint, FIELD_COMPLAINT_MAX,
        "is no list of at most %d {\"staff_id\":\"3\",\"weight\":0..%d,\"cap_day\":0..%d}, each of them once",
        MEMBERS_MAX, WEIGHT_MAX, CAP_MAX);
    if (!json_is_array(json) || json_array_size(json) > MEMBERS_MAX)
        return false;
    json_array_foreach(json, i, item)
    {
        if (!is_member(item, &seen[i]))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (seen[k] == seen[i])
                return false;
        }
    }
    return true;
}

/* ---- steps ---- */

/* Sources that lead to a department nobody works in would leave their leads to nobody. */
static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct department_row *row = &change->row.department;
    bool used = false;
    enum db_result rc = DB_OK;

    if (row->id != 0 && strcmp(row->state, "archived") == 0)
        rc = department_is_used(db, row->id, &used);
    if (rc != DB_OK)
        return service_from_db(error, rc, "department_is_used");
    return used ? service_refuse(error, SERVICE_CONFLICT, "in_use",
                                 "Sources give their leads to this department.")
                : SERVICE_OK;
}

static int64_t
number_or(const json_t *number, int64_t otherwise)
{
    return number == NULL ? otherwise : json_integer_value(number);
}

static enum db_result
drop_others(struct db *db, int64_t id, const json_t *members)
{
    int64_t *ids, staff_id;
    size_t count, i;
    json_t *item;
    enum db_result rc = department_member_ids(db, id, &ids, &count);

    for (size_t k = 0; rc == DB_OK && k < count; k++) {
        bool stays = false;

        json_array_foreach(members, i, item)
        {
            stays = stays || (is_member(item, &staff_id) && staff_id == ids[k]);
        }
        if (!stays)
            rc = department_member_delete(db, id, ids[k]);
    }
    free(ids);
    return rc;
}

static enum service_result
set_members(struct db *db, struct change *change, struct service_error *error)
{
    const json_t *members = change->values[MEMBERS].json;
    int64_t id = change->row.head.id, staff_id;
    json_t *item;
    size_t i;
    enum service_result result = SERVICE_OK;
    enum db_result rc;

    if (!change->values[MEMBERS].given)
        return SERVICE_OK;
    rc = drop_others(db, id, members);
    json_array_foreach(members, i, item)
    {
        if (rc != DB_OK)
            break;
        if (!is_member(item, &staff_id) ||
            (result = intake_check_agent(db, staff_id, "members", error)) != SERVICE_OK)
            return result;
        rc = department_member_put(db, id, staff_id, number_or(json_object_get(item, "weight"), 1),
                                   number_or(json_object_get(item, "cap_day"), 0));
    }
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, "department_members");
}
