/*
 * test_tracker_agent_name.c - names of devices, systems and browsers.
 *
 * Guarded here: a name that a rule or a report uses finds the number that events store, and back; numbers
 * that nobody gave out, of newer edges, have no name and crash nothing.
 */
#include "testing.h"

#include "tracker_agent.h"

static void
round_trip(struct tracker_str (*name)(unsigned), unsigned (*find)(struct tracker_str), unsigned last)
{
    for (unsigned number = 1; number <= last; number++) {
        assert_in_range(name(number).len, 1, 16);
        assert_int_equal(find(name(number)), number);
    }
    assert_int_equal(name(0).len, 0);
    assert_int_equal(name(last + 1).len, 0);
    assert_int_equal(name(255).len, 0);
    assert_int_equal(find(TRACKER_STR_NONE), 0);
    assert_int_equal(find(TRACKER_STR("toaster")), 0);
}

static void
test_names(void **state)
{
    round_trip(tracker_device_name, tracker_device_find, TRACKER_DEVICE_CAR);
    round_trip(tracker_os_name, tracker_os_find, TRACKER_OS_NINTENDO);
    round_trip(tracker_browser_name, tracker_browser_find, TRACKER_BROWSER_GOOGLE_APP);
    assert_int_equal(tracker_device_find(TRACKER_STR("phone")), TRACKER_DEVICE_PHONE);
    assert_int_equal(tracker_os_find(TRACKER_STR("ios")), TRACKER_OS_IOS);
    assert_int_equal(tracker_browser_find(TRACKER_STR("safari")), TRACKER_BROWSER_SAFARI);
    assert_int_equal(tracker_device_find(TRACKER_STR("Phone")), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
