/* Members of staff as others change them; how they come to be and log in is people.c's. */
#include <string.h>

#include "service/intake.h"
#include "service/kind.h"
#include "service/people.h"

enum { NAME, ROLE, STATE, DEPARTMENT, FIELDS };

_Static_assert(FIELDS <= KIND_FIELDS_MAX, "a change has room for them");

#define AT(member) offsetof(struct staff_member_row, member)

static const struct field fields[FIELDS + 1] = {
    [NAME] = { "name", FIELD_TEXT, 0, 0, 120, NULL, AT(name), NULL },
    [ROLE] = { "role", FIELD_CHOICE, 0, 0, 0, "admin|finance|manager|agent|viewer", AT(role), NULL },
    [STATE] = { "state", FIELD_CHOICE, 0, 0, 0, "active|disabled", AT(state), NULL },
    [DEPARTMENT] = { "department_id", FIELD_ID, FIELD_NULLABLE, 0, 0, NULL, AT(department_id), NULL },
};

static enum service_result check(struct db *db, struct change *change, struct service_error *error);

static const struct kind staff_kind = {
    .name = "member of staff",
    .object = "staff",
    .edit = "staff.edit",
    .fields = fields,
    .table = &staff_table,
    .list = &staff_list, .local = true,
    .check = check,
};

enum service_result
staff_edit(const struct service *service, const struct actor *actor, int64_t id, int64_t if_version,
           const json_t *patch, json_t **object, struct service_error *error)
{
    return kind_edit(&staff_kind, service, actor, id, if_version, patch, NULL, object, error);
}

static bool
is_admin(const struct staff_member_row *row)
{
    return strcmp(row->role, "admin") == 0 && strcmp(row->state, "active") == 0;
}

/* Without an admin nobody could make another one. */
static enum service_result
check(struct db *db, struct change *change, struct service_error *error)
{
    const struct staff_member_row *row = &change->row.staff, *was = &change->was.staff;
    int64_t others = 1;
    enum db_result rc = DB_OK;

    if (is_admin(was) && !is_admin(row))
        rc = staff_other_admins(db, row->id, &others);
    if (rc != DB_OK)
        return service_from_db(error, rc, "staff_other_admins");
    if (others == 0)
        return service_refuse(error, SERVICE_CONFLICT, "last_admin", "There is no other active admin.");
    return change->values[DEPARTMENT].given
               ? intake_check_department(db, row->department_id, "department_id", error)
               : SERVICE_OK;
}
