/* Pages that one watches stay true: what has changed on the server is brought in, and nothing else is touched.
   Without scripts the pages are as they were when they were loaded. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const control = document.getElementById("cronkite-refresh");
    if (!control || !window.fetch || !window.DOMParser) {
        return;
    }
    const outcome = (page) => page.querySelector("body.model-log.change-form .cronkite-outcome")?.outerHTML;
    const isOver = document.querySelector(".cronkite-timeline")
        ? !document.querySelector(".cronkite-now")
        : document.body.matches(".model-log.change-form") && !outcome(document)?.includes("cronkite-running");
    if (isOver) {
        return; // a stretch of the past, or a run that has ended
    }
    /* Milliseconds. An answer that takes long is asked for less often, so that a watched page is no burden. */
    const isRun = document.body.matches(".model-log.change-form");
    const OFTEN = isRun ? 5000 : 15000, SELDOM = 300000, SHARE = 20;
    /* What is renewed: never what people type into, nor what the form's own script shows. */
    const PARTS = [
        ".cronkite-health",
        ".object-tools",
        "#result_list tbody",
        ".paginator",
        ".cronkite-lanes",
        ".model-log .field-output_text .readonly",
        ".field-state_now .readonly",
        ".field-lately .readonly",
        ".model-job .field-next_run_at .readonly",
        ".model-job .field-last_slot_at .readonly",
        ".model-job .field-fence .readonly",
        ".model-job .field-locked_by .readonly",
        ".model-job .field-last_sign .readonly",
    ];
    /* What people, or other scripts, set on an element that stays. */
    const THEIRS = {DETAILS: ["open"], TR: ["class"], INPUT: ["checked"], BUTTON: ["hidden"]};
    const button = control.querySelector("button");
    let timer, wait = OFTEN, last = Date.now(), busy = false, paused = false;

    /* By what an element is known again: a row by its box, or its link; else by its own address or id. */
    const keyOf = (node) => {
        if (node.nodeType !== Node.ELEMENT_NODE) {
            return "";
        }
        if (node.nodeName === "TR") {
            const box = node.querySelector("input.action-select");
            return box ? `box ${box.getAttribute("value")}` : node.querySelector("a[href]")?.getAttribute("href") ?? "";
        }
        return node.id || node.getAttribute("href") || "";
    };

    const attributes = (old, fresh) => {
        const theirs = THEIRS[old.nodeName] ?? [];
        for (const {name} of [...old.attributes]) {
            if (!fresh.hasAttribute(name) && !theirs.includes(name)) {
                old.removeAttribute(name);
            }
        }
        for (const {name, value} of fresh.attributes) {
            if (old.getAttribute(name) !== value && !theirs.includes(name)) {
                old.setAttribute(name, value);
            }
        }
    };

    const renew = (old, fresh) => {
        if (old.isEqualNode(fresh)) {
            return;
        }
        if (old.nodeType !== Node.ELEMENT_NODE) {
            old.nodeValue = fresh.nodeValue;
            return;
        }
        attributes(old, fresh);
        children(old, fresh);
    };

    const children = (old, fresh) => {
        const known = new Map([...old.childNodes].map((node) => [keyOf(node), node]));
        const wanted = new Set([...fresh.childNodes].map(keyOf));
        known.delete("");
        wanted.delete("");
        if (old.nodeName === "TBODY" && old.querySelector("input.action-select:checked")) {
            // Rows that somebody is choosing from stay where they are.
            for (const node of fresh.childNodes) {
                const same = known.get(keyOf(node));
                if (same) {
                    renew(same, node);
                }
            }
            return;
        }
        let at = old.firstChild;
        for (const node of [...fresh.childNodes]) {
            let same = known.get(keyOf(node));
            known.delete(keyOf(node));
            if (!same && at && at.nodeName === node.nodeName && !wanted.has(keyOf(at))) {
                same = at;
            }
            if (!same) {
                old.insertBefore(document.importNode(node, true), at);
                continue;
            }
            if (same === at) {
                at = at.nextSibling;
            } else {
                old.insertBefore(same, at);
            }
            renew(same, node);
        }
        while (at) {
            const next = at.nextSibling;
            at.remove();
            at = next;
        }
    };

    const bring = (fresh) => {
        if (outcome(document) !== outcome(fresh)) {
            location.reload(); // the run that one looks at has ended: all of its page is new
            return;
        }
        // Other scripts dress what comes as they have dressed what is there, or it would be taken for changed.
        document.dispatchEvent(new CustomEvent("cronkite:fresh", {detail: fresh}));
        const focused = document.activeElement;
        const isAtEnd = (text) => text.scrollHeight - text.scrollTop - text.clientHeight < 4;
        const read = [...document.querySelectorAll("pre.cronkite-text")].filter(isAtEnd).map((text) => text.id);
        for (const part of PARTS) {
            const old = [...document.querySelectorAll(part)], found = [...fresh.querySelectorAll(part)];
            const selection = document.getSelection();
            old.forEach((element, index) => {
                // What is being marked to be copied stays as it is.
                const marked = selection && !selection.isCollapsed && selection.containsNode(element, true);
                if (found[index] && !marked) {
                    renew(element, found[index]);
                }
            });
        }
        // Who reads the end of what a run writes goes on reading there.
        for (const text of read.map((id) => document.getElementById(id))) {
            text?.scrollTo(0, text.scrollHeight);
        }
        // Whoever asks for the page is told what it has to say; it would not say so again.
        const said = fresh.querySelector("ul.messagelist");
        if (said) {
            document.querySelector("ul.messagelist")?.remove();
            (document.querySelector(".cronkite-health") ?? control).before(document.importNode(said, true));
        }
        if (focused && focused.isConnected && document.activeElement !== focused) {
            focused.focus({preventScroll: true});
        }
        document.dispatchEvent(new CustomEvent("cronkite:renewed"));
    };

    const look = async () => {
        if (busy) {
            return;
        }
        busy = true;
        const began = Date.now();
        try {
            const response = await fetch(location.href, {headers: {Accept: "text/html"}});
            if (response.redirected || response.status === 403 || response.status === 404) {
                control.hidden = true; // logged out, or gone
                return;
            }
            if (!response.ok) {
                throw new Error(`status ${response.status}`);
            }
            bring(new DOMParser().parseFromString(await response.text(), "text/html"));
            wait = Math.min(SELDOM, Math.max(OFTEN, SHARE * (Date.now() - began)));
        } catch (error) {
            wait = Math.min(SELDOM, 2 * wait);
        } finally {
            last = Date.now();
            busy = false;
        }
        plan();
    };

    const plan = () => {
        clearTimeout(timer);
        if (!paused && !control.hidden && !document.hidden) {
            timer = setTimeout(look, Math.max(0, last + wait - Date.now()));
        }
    };

    button.addEventListener("click", () => {
        paused = !paused;
        button.setAttribute("aria-pressed", paused);
        plan();
    });
    document.addEventListener("visibilitychange", plan);
    control.hidden = false;
    plan();
});
