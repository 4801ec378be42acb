#include "service/lead_person.h"

#include <stdlib.h>
#include <string.h>

#include "tracker_form.h"

/* Of a name that was sent more than once, the first value. */
static const char *
first_text(const json_t *value)
{
    const char *text = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);

    return text == NULL ? "" : text;
}

/* Moves a standard field out of the custom ones. */
static const char *
take(struct person *person, const char *name)
{
    json_t *value = json_object_get(person->fields, name);

    if (value == NULL)
        return "";
    json_object_set(person->standard, name, value);
    json_object_del(person->fields, name);
    return first_text(json_object_get(person->standard, name));
}

static void
read_country(struct person *person)
{
    const char *text = first_text(json_object_get(person->fields, "country"));

    if (strlen(text) != 2)
        return; /* what is no code stays where it is: nothing is lost */
    for (int i = 0; i < 2; i++) {
        char c = text[i] >= 'a' && text[i] <= 'z' ? (char) (text[i] - 'a' + 'A') : text[i];

        if (c < 'A' || c > 'Z') {
            person->country[0] = '\0';
            return;
        }
        person->country[i] = c;
    }
    json_object_del(person->fields, "country");
}

/* One name in one field: its last word is the family's, for want of anything better. */
static bool
split_name(struct person *person)
{
    const char *name = take(person, "name");
    char       *space;

    if (name[0] == '\0' || person->first_name[0] != '\0' || person->last_name[0] != '\0')
        return true;
    person->name_parts = strdup(name);
    if (person->name_parts == NULL)
        return false;
    person->first_name = person->name_parts;
    space = strrchr(person->name_parts, ' ');
    if (space != NULL && space[1] != '\0') {
        *space = '\0';
        person->last_name = space + 1;
    }
    return true;
}

bool
person_read(const char *fields, struct person *out)
{
    memset(out, 0, sizeof(*out));
    out->fields = json_loads(fields, JSON_REJECT_DUPLICATES, NULL);
    out->standard = json_object();
    if (!json_is_object(out->fields) || out->standard == NULL) {
        person_clear(out);
        return false;
    }
    out->first_name = take(out, "first_name");
    out->last_name = take(out, "last_name");
    out->email = take(out, "email");
    out->phone = take(out, "phone");
    out->language = take(out, "language");
    out->coupon = first_text(json_object_get(out->fields, "coupon"));
    if (!split_name(out)) {
        person_clear(out);
        return false;
    }
    read_country(out);
    out->email_valid = contact_email_key(out->email, out->email_key);
    out->phone_valid = tracker_phone_valid((struct tracker_str){ out->phone, strlen(out->phone) });
    if (!out->email_valid)
        out->email_key[0] = '\0';
    if (!out->phone_valid || !contact_phone_key(out->phone, out->country, out->phone_key))
        out->phone_key[0] = '\0';
    return true;
}

void
person_clear(struct person *person)
{
    json_decref(person->fields);
    json_decref(person->standard);
    free(person->name_parts);
    person->fields = person->standard = NULL;
    person->name_parts = NULL;
}
