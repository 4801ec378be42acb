/*
 * affiliate.js - clicks on landing pages, without a redirect.  See docs/tracking.md.
 *
 *     <script src="https://track.example.com/affiliate.js" defer></script>
 *
 * Reads the affiliate's code in the page's address, reports the click, keeps its id for this site, and
 * hands it on to forms, links and frames.  No dependency, no eval, nothing inline: any CSP that lets this file load
 * and connect to where it came from will do.  Lines of comment and indents are not served.
 */
(() => {
    'use strict';
    const script = document.currentScript;
    const data = script ? script.dataset : {};
    const endpoint = new URL(data.url || '/t/', (script && script.src) || location.href);
    const param = data.param || 'click_id';
    const codes = ['ref', 'via', 'aff', 'aff_id', 'a_aid', 'btag', 'fpr'];
    const sites = [location.hostname.replace(/^www\./, '')].concat((data.hosts || '').split(/[\s,]+/).filter(Boolean));

    // Storage may be forbidden: then the id lives as long as the page.
    const load = (kind) => {
        try {
            return JSON.parse(window[kind].getItem('affiliate')) || {};
        } catch (e) {
            return {};
        }
    };
    const save = (kind, value) => {
        try {
            window[kind].setItem('affiliate', JSON.stringify(value));
        } catch (e) {
            return;
        }
    };

    let touch = load('localStorage');
    let reported = '';
    if (!(touch.until > Date.now())) {
        touch = {};
    }
    const clickId = () => touch.id || '';

    const below = (host, parent) => host === parent || host.endsWith('.' + parent);
    const sameSite = (host) => sites.some((site) => below(host, site) || below(site, host));

    // Where an element leads, if that is a page which may know the id; else null.
    const target = (element, attribute) => {
        const marked = element.closest('[data-affiliate]');
        let url;
        try {
            url = new URL(element.getAttribute(attribute) || location.href, document.baseURI);
        } catch (e) {
            return null;
        }
        if (!touch.id || !/^https?:$/.test(url.protocol)) {
            return null;
        }
        return (marked ? marked.dataset.affiliate !== 'off' : sameSite(url.hostname)) ? url : null;
    };

    const decorate = (element, attribute) => {
        const url = target(element, attribute);
        const here = location.href.split('#')[0];
        if (!url || url.searchParams.get(param) === touch.id || (url.hash && url.href.split('#')[0] === here)) {
            return;
        }
        if (url.searchParams.has(param)) {
            url.searchParams.set(param, touch.id);
        } else {
            url.search += (url.search ? '&' : '?') + param + '=' + touch.id;
        }
        element.setAttribute(attribute, url.href);
    };

    const frames = () => document.querySelectorAll('iframe[data-affiliate][src]').forEach((f) => decorate(f, 'src'));

    // Our own cookie is out of reach of pages of another site: they keep one of the same form.
    const remember = (answer) => {
        const lifetime = answer.days * 86400;
        const same = touch.program === answer.program && !answer.repeat;
        touch = {
            id: answer.click_id,
            first: (same && touch.first) || answer.first,
            program: answer.program,
            until: Date.now() + (lifetime || 86400) * 1000,
        };
        if (answer.cookie) {
            save('localStorage', touch);
        }
        if (answer.cookie && !sameSite(endpoint.hostname)) {
            document.cookie = 'aff_' + touch.program + '=' + touch.first + '.' + touch.id + '; Path=/; SameSite=Lax'
                + (lifetime ? '; Max-Age=' + lifetime : '') + (data.domain ? '; Domain=' + data.domain : '')
                + (location.protocol === 'https:' ? '; Secure' : '');
        }
    };

    const track = async () => {
        const query = new URLSearchParams(location.search);
        const name = codes.find((n) => query.get(n));
        const code = name && query.get(name);
        if (code && code !== reported && load('sessionStorage').code !== code) {
            reported = code;
            try {
                const answer = await fetch(endpoint.href + location.search, {
                    credentials: 'include',
                    cache: 'no-store',
                    referrerPolicy: 'no-referrer-when-downgrade',
                });
                if (answer.ok) {
                    remember(await answer.json());
                    save('sessionStorage', { code });
                }
            } catch (e) {
                reported = '';
            }
        }
        frames();
        return clickId();
    };

    // At the last moment, so that it does not matter who made the element, or when.
    const follow = (event) => {
        const link = event.target.closest && event.target.closest('a[href]');
        if (link) {
            decorate(link, 'href');
        }
    };
    addEventListener('click', follow, true);
    addEventListener('auxclick', follow, true);
    addEventListener('submit', (event) => {
        const form = event.target;
        if (target(form, 'action')) {
            let input = form.querySelector('input[name="' + param + '"]');
            if (!input) {
                input = form.appendChild(document.createElement('input'));
                input.type = 'hidden';
                input.name = param;
            }
            input.value = touch.id;
        }
    }, true);

    const push = history.pushState;
    history.pushState = function pushState(...args) {
        push.apply(this, args);
        track();
    };
    addEventListener('popstate', track);
    document.addEventListener('DOMContentLoaded', frames);

    const start = () => {
        window.affiliate.ready = track();
    };
    window.affiliate = { clickId, track, ready: Promise.resolve('') };
    if (document.prerendering) {
        document.addEventListener('prerenderingchange', start, { once: true });
    } else {
        start();
    }
})();
