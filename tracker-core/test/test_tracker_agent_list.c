/*
 * test_tracker_agent_list.c - guards data/agents.txt: that each kind of browser, bot and preview in use is called
 * what it is.  A new line that is too general shows here as a person who became a bot.
 *
 * Thousands more are judged end to end (t/e2e/user_agents.t); this table is the list's own specification.
 */
#include "testing.h"

#include "tracker_agent.h"

static const char list[] =
#include "tracker_agents_list.h"
    ;

static uint8_t *compiled;
static size_t compiled_len;

struct sample {
    const char *want; /* "device os browser", "bot", "preview" */
    const char *user_agent;
};

#define MAC    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
#define WIN    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
#define LINUX  "Mozilla/5.0 (X11; Linux x86_64) "
#define IPHONE "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
#define IPAD   "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
#define DROID  "Mozilla/5.0 (Linux; Android 10; K) "
#define WEBKIT "AppleWebKit/537.36 (KHTML, like Gecko) "
#define APPLE  "AppleWebKit/605.1.15 (KHTML, like Gecko) "

static const struct sample people[] = {
    { "desktop windows chrome", WIN WEBKIT "Chrome/153.0.0.0 Safari/537.36" },
    { "desktop macos chrome", MAC WEBKIT "Chrome/153.0.0.0 Safari/537.36" },
    { "desktop linux chrome", LINUX WEBKIT "Chrome/153.0.0.0 Safari/537.36" },
    { "desktop chromeos chrome", "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " WEBKIT "Chrome/152.0.0.0 Safari/537.36" },
    { "desktop windows edge", WIN WEBKIT "Chrome/153.0.0.0 Safari/537.36 Edg/153.0.0.0" },
    { "desktop windows edge", WIN WEBKIT "Chrome/64.0.3282.140 Safari/537.36 Edge/17.17134" },
    { "phone android edge", DROID WEBKIT "Chrome/120.0.0.0 Mobile Safari/537.36 EdgA/120.0.0.0" },
    { "phone ios edge", IPHONE "Version/18.0 EdgiOS/130.0.2849.80 Mobile/15E148 Safari/605.1.15" },
    { "desktop windows firefox", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:156.0) Gecko/20100101 Firefox/156.0" },
    { "desktop linux firefox", "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" },
    { "desktop bsd firefox", "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0" },
    { "phone android firefox", "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0" },
    { "tablet android firefox", "Mozilla/5.0 (Android 13; Tablet; rv:133.0) Gecko/133.0 Firefox/133.0" },
    { "phone ios firefox", IPHONE "FxiOS/133.0 Mobile/15E148 Safari/605.1.15" },
    { "desktop macos safari", MAC APPLE "Version/26.6.2 Safari/605.1.15" },
    { "phone ios safari", IPHONE "Version/26.6.1 Mobile/15E148 Safari/604.1" },
    { "tablet ipados safari", IPAD "Version/17.6 Mobile/15E148 Safari/604.1" },
    { "tablet ipados webview", MAC APPLE "Mobile/15E148" }, /* an app on an iPad that asks for desktop pages */
    { "phone ios webview", IPHONE "Mobile/15E148" },
    { "phone ios chrome", IPHONE "CriOS/153.0.8010.24 Mobile/15E148 Safari/604.1" },
    { "phone ios google_app", IPHONE "GSA/345.0 Mobile/15E148 Safari/604.1" },
    { "phone android chrome", DROID WEBKIT "Chrome/153.0.0.0 Mobile Safari/537.36" },
    { "tablet android chrome", DROID WEBKIT "Chrome/153.0.0.0 Safari/537.36" },
    { "phone android webview", "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP1A; wv) " WEBKIT
                               "Version/4.0 Chrome/120.0.0.0 Mobile Safari/537.36" },
    { "phone android samsung", DROID WEBKIT "SamsungBrowser/30.0 Chrome/143.0.0.0 Mobile Safari/537.36" },
    { "tablet android samsung", "Mozilla/5.0 (Linux; Android 12; SM-T733) " WEBKIT
                                "SamsungBrowser/20.0 Chrome/106.0.5249.126 Mobile Safari/537.36" },
    { "phone android opera", DROID WEBKIT "Chrome/91.0.4472.101 Mobile Safari/537.36 OPR/77.0.4054.90" },
    { "desktop windows opera", WIN WEBKIT "Chrome/151.0.0.0 Safari/537.36 OPR/135.0.0.0 (Edition std-2)" },
    { "phone  opera", "Opera/9.80 (J2ME/MIDP; Opera Mini/9.80/28.2725; U; en) Presto/2.8.119 Version/11.10" },
    { "desktop windows yandex", WIN WEBKIT "Chrome/150.0.0.0 YaBrowser/26.8.0.0 Safari/537.36" },
    { "phone android uc", "Mozilla/5.0 (Linux; U; Android 13; en-US; RMX3834) " WEBKIT
                          "Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.7 Mobile Safari/537.36" },
    { "desktop windows vivaldi", WIN WEBKIT "Chrome/120.0.0.0 Safari/537.36 Vivaldi/6.5.3206.50" },
    { "phone ios brave", IPHONE "Version/18.0 Brave/1 Mobile/15E148 Safari/604.1" },
    { "phone ios duckduckgo", IPHONE "Version/18.0 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15" },
    { "desktop macos duckduckgo", MAC APPLE "Version/18.0 Safari/605.1.15 Ddg/18.0" },
    { "desktop windows ie", "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko" },
    { "desktop windows ie", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)" },
    { "phone windows ie", "Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; Trident/7.0; Touch; rv:11.0; "
                          "IEMobile/11.0; NOKIA; Lumia 635) like iPhone OS 7_0_3 Mac OS X AppleWebKit/537 "
                          "(KHTML, like Gecko) Mobile Safari/537" },
    { "phone android facebook", "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A; wv) " WEBKIT
                                "Version/4.0 Chrome/130.0.6723.107 Mobile Safari/537.36 "
                                "[FB_IAB/FB4A;FBAV/490.0.0.59;]" },
    { "phone ios facebook", IPHONE "Mobile/22B83 [FBAN/FBIOS;FBAV/490.0.0.40.99;FBBV/662513545;FBDV/iPhone15,2]" },
    { "phone ios instagram", IPHONE "Mobile/22B83 Instagram 359.0.0.22.88 (iPhone15,2; iOS 18_1; en_US; en)" },
    { "phone android tiktok", "Mozilla/5.0 (Linux; Android 13; V2207; wv) " WEBKIT "Version/4.0 Chrome/120.0 Mobile "
                              "Safari/537.36 trill_320805 JsSdk/1.0 BytedanceWebview/d8a21c6" },
    { "phone ios wechat", IPHONE "Mobile/15E148 MicroMessenger/8.0.50(0x1800323b) NetType/WIFI Language/zh_CN" },
    { "phone ios line", IPHONE "Mobile/15E148 Safari Line/14.18.1" },
    { "phone ios snapchat", IPHONE "Version/18.0 Mobile/15E148 Snapchat/13.15.0.40 (like Safari/8618, panda)" },
    { "phone android telegram", DROID WEBKIT "Chrome/130.0 Mobile Safari/537.36 Telegram-Android/11.4.2 (Samsung)" },
    { "phone android pinterest", "Mozilla/5.0 (Linux; Android 7.0; MON; wv) " WEBKIT "Version/4.0 Chrome/63.0 Mobile "
                                 "Safari/537.36 [Pinterest/Android]" },
    { "phone ios linkedin", IPHONE "Mobile/15E148 [LinkedInApp]/9.29.9962" },
    { "phone ios twitter", IPHONE "Mobile/15E148 Twitter for iPhone/10.66" },
    { "phone android miui", "Mozilla/5.0 (Linux; U; Android 13; de-de; 2201117TG) " WEBKIT "Version/4.0 "
                            "Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.4.0-g" },
    { "phone harmonyos huawei", "Mozilla/5.0 (Linux; Android 10; HarmonyOS; NOH-AN00; HMSCore 6.14.0.322) " WEBKIT
                                "Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36" },
    { "tablet android silk", "Mozilla/5.0 (Linux; Android 11; KFTRWI) " WEBKIT
                             "Silk/120.4.1 like Chrome/120.0.6099.230 Safari/537.36" },
    { "phone kaios firefox", "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5" },
    { "tv tizen samsung", "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) " WEBKIT
                          "SamsungBrowser/3.0 Chrome/76.0.3809.146 TV Safari/537.36" },
    { "tv webos chrome", "Mozilla/5.0 (Web0S; Linux/SmartTV) " WEBKIT "Chrome/87.0.4280.88 Safari/537.36 WebAppManager" },
    { "tv android chrome", "Mozilla/5.0 (Linux; Android 9; BRAVIA 4K UR2) " WEBKIT "Chrome/103.0 Safari/537.36" },
    { "console playstation safari", "Mozilla/5.0 (PlayStation; PlayStation 5/8.00) AppleWebKit/605.1.15 "
                                    "(KHTML, like Gecko) Version/15.4 Safari/605.1.15" },
    { "console xbox edge", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) " WEBKIT
                           "Chrome/48.0.2564.82 Safari/537.36 Edge/20.02" },
    { "console nintendo ", "Mozilla/5.0 (Nintendo Switch; WebApplet) AppleWebKit/609.4 (KHTML, like Gecko) NF/6.0.2.15" },
    { "wearable android chrome", "Mozilla/5.0 (Linux; Android 10; Quest 2) " WEBKIT
                                 "OculusBrowser/18.1 Chrome/95.0.4638.74 VR Safari/537.36" },
    { "car linux chrome", "Mozilla/5.0 (X11; GNU/Linux) " WEBKIT "Chrome/109.0 Safari/537.36 Tesla/2023.20.9" },
    { "phone android chrome", "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) " WEBKIT
                              "Chrome/74.0.3729.157 Mobile Safari/537.36" },
    { "phone android chrome", DROID WEBKIT "Chrome/150.0.0.0 Mobile Safari/537.36 (Ecosia android@150.0.0.0)" },
    { "desktop windows chrome", WIN WEBKIT "obsidian/1.11.7 Chrome/142.0.7444.265 Electron/39.5.1 Safari/537.36" },
    { "desktop linux ", "Mozilla/5.0 (compatible; Konqueror/3.5; Linux) KHTML/3.5.10 (like Gecko)" },
    { "phone  ", "Nokia6300/2.0 (05.50) Profile/MIDP-2.0 Configuration/CLDC-1.1" },
};

static const struct sample machines[] = {
    { "bot", "" },
    { "bot", "-" },
    { "bot", "curl/8.5.0" },
    { "bot", "Wget/1.21.4" },
    { "bot", "python-requests/2.32.3" },
    { "bot", "Go-http-client/2.0" },
    { "bot", "okhttp/4.12.0" },
    { "bot", "axios/1.7.2" },
    { "bot", "Java/17.0.2" },
    { "bot", "libwww-perl/6.72" },
    { "bot", "PostmanRuntime/7.39.0" },
    { "bot", "Dalvik/2.1.0 (Linux; U; Android 13; SM-A546B Build/TP1A.220624.014)" },
    { "bot", "Mozilla/5.0" },
    { "bot", "a client of my own" },
    { "bot", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" },
    { "bot", "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) " WEBKIT "Chrome/130.0.0.0 Mobile Safari/537.36 "
             "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)" },
    { "bot", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
             "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36" },
    { "bot", MAC APPLE "Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)" },
    { "bot", "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)" },
    { "bot", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)" },
    { "bot", LINUX WEBKIT "HeadlessChrome/120.0.0.0 Safari/537.36" },
    { "bot", WIN WEBKIT "Chrome/120.0.0.0 Safari/537.36 Playwright/1.40.0" },
    { "bot", "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1" },
    { "bot", DROID WEBKIT "Chrome/98.0.4695.0 Mobile Safari/537.36 Chrome-Lighthouse" },
    { "bot", "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)" },
    { "bot", "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)" },
    { "bot", "AdsBot-Google (+http://www.google.com/adsbot.html)" },
    { "preview", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)" },
    { "preview", "Twitterbot/1.0" },
    { "preview", "WhatsApp/2.23.20.0 A" },
    { "preview", "TelegramBot (like TwitterBot)" },
    { "preview", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)" },
    { "preview", "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)" },
    { "preview", "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)" },
    { "preview", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com" },
    { "preview", "Mozilla/5.0 (iPhone; CPU iPhone OS 7_0 like Mac OS X) AppleWebKit/537.51.1 (KHTML, like Gecko) "
                 "Version/7.0 Mobile/11A465 Safari/9537.53 BingPreview/1.0b" },
    { "preview", MAC APPLE "Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0" },
};

static void
judge(const char *user_agent, struct tracker_agent *agent)
{
    char *exact = testing_exact(user_agent, strlen(user_agent));

    tracker_agents_classify(compiled, compiled_len, (struct tracker_str){ exact, strlen(user_agent) }, agent);
    free(exact);
}

static void
test_people(void **state)
{
    for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
        struct tracker_agent agent;
        struct tracker_str   device, os, browser;
        char                 got[64];

        judge(people[i].user_agent, &agent);
        device = tracker_device_name(agent.device);
        os = tracker_os_name(agent.os);
        browser = tracker_browser_name(agent.browser);
        snprintf(got, sizeof(got), "%.*s %.*s %.*s", (int) device.len, device.data, (int) os.len, os.data,
                 (int) browser.len, browser.data);
        if (agent.kind != TRACKER_AGENT_PERSON || strcmp(got, people[i].want) != 0)
            fail_msg("kind %d, %s instead of %s: %s", agent.kind, got, people[i].want, people[i].user_agent);
    }
}

static void
test_machines(void **state)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct tracker_agent agent;
        bool                 bot = machines[i].want[0] == 'b';

        judge(machines[i].user_agent, &agent);
        if (agent.kind != (bot ? TRACKER_AGENT_BOT : TRACKER_AGENT_PREVIEW))
            fail_msg("kind %d, not %s: %s", agent.kind, machines[i].want, machines[i].user_agent);
    }
}

/* One word in the list must not be able to mean two things. */
static void
test_names_mean_one_thing(void **state)
{
    static struct tracker_str (*const name[])(unsigned) = { tracker_device_name, tracker_os_name, tracker_browser_name };

    for (unsigned kind = 0; kind < 3; kind++)
        for (unsigned number = 1; number < 256; number++) {
            struct tracker_str word = name[kind](number);
            unsigned           meanings = (tracker_device_find(word) != 0) + (tracker_os_find(word) != 0)
                                + (tracker_browser_find(word) != 0);
            if (word.len == 0)
                continue;
            assert_int_equal(meanings, 1);
            assert_false(tracker_str_eq(word, TRACKER_STR("person")) || tracker_str_eq(word, TRACKER_STR("bot"))
                         || tracker_str_eq(word, TRACKER_STR("preview")) || tracker_str_eq(word, TRACKER_STR("except")));
        }
}

/* It travels in every snapshot and is read on a cold cache. */
static void
test_small(void **state)
{
    assert_in_range(compiled_len, 10000, 64 * 1024);
}

static int
setup(void **state)
{
    const char *error;
    int         line, rc;

    rc = tracker_agents_compile((struct tracker_str){ list, sizeof(list) - 1 }, &compiled, &compiled_len, &error, &line);
    if (rc != 0)
        print_message("# data/agents.txt:%d: %s\n", line, error);
    return rc != 0 || !tracker_agents_check(compiled, compiled_len);
}

static int
teardown(void **state)
{
    free(compiled);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_people),
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_names_mean_one_thing),
        cmocka_unit_test(test_small),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
