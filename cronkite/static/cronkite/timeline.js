/* The timeline's tips and keys. Without it, each bar is a link like others, and browsers show what it says their way. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const lanes = document.querySelector(".cronkite-lanes");
    if (!lanes) {
        return;
    }
    const MARGIN = 8; // pixels between the tip and the bar, and the window's edge
    const tip = document.createElement("div");
    tip.className = "cronkite-tip";
    tip.setAttribute("role", "tooltip");
    tip.setAttribute("aria-hidden", "true"); // each bar is called so already
    tip.hidden = true;
    document.body.append(tip);
    let shown = null, byTouch = false;

    const hide = () => {
        shown = null;
        tip.hidden = true;
    };
    const show = (bar, again = "") => {
        shown = bar;
        tip.replaceChildren(...[bar.getAttribute("aria-label"), again].filter(Boolean).map((text) => {
            const line = document.createElement("p");
            line.textContent = text;
            return line;
        }));
        tip.hidden = false;
        settle();
    };
    const settle = () => {
        // Measured where there is room for all of it, then moved: beside an edge it would be squeezed.
        tip.style.left = tip.style.top = "0";
        const [over, own] = [shown.getBoundingClientRect(), tip.getBoundingClientRect()];
        const {clientWidth, clientHeight} = document.documentElement;
        const left = Math.min((over.left + over.right - own.width) / 2, clientWidth - own.width - MARGIN);
        const below = over.bottom + MARGIN;
        const top = below + own.height > clientHeight ? over.top - own.height - MARGIN : below;
        tip.style.left = `${Math.max(MARGIN, left)}px`;
        tip.style.top = `${Math.max(MARGIN, Math.min(top, clientHeight - own.height - MARGIN))}px`;
    };

    // One stop of the tab key for each lane: from there, arrows go along it, and to the lanes above and below.
    const dress = (root) => {
        for (const bar of root.querySelectorAll(".cronkite-track[role=group] .cronkite-bar")) {
            // The browser would show a title beside the tip.
            const title = bar.querySelector(":scope > title");
            bar.setAttribute("aria-label", title.textContent);
            title.remove();
            bar.setAttribute("tabindex", "-1");
        }
    };
    const collect = () => [...lanes.querySelectorAll(".cronkite-track[role=group]")].map((track) => {
        const found = [...track.querySelectorAll(".cronkite-bar")]
            .map((bar) => ({bar, at: Number.parseFloat(place(bar))}))
            .sort((one, other) => one.at - other.at);
        const stop = found.find((each) => each.bar === document.activeElement) ?? found[0];
        stop?.bar.setAttribute("tabindex", "0");
        return found;
    }).filter((row) => row.length);
    dress(lanes);
    let rows = collect();
    // The page is renewed by refresh.js: what it brings is dressed before, and known after.
    document.addEventListener("cronkite:fresh", (event) => dress(event.detail));
    document.addEventListener("cronkite:renewed", () => {
        rows = collect();
        if (shown?.isConnected) {
            show(shown);
        } else {
            hide();
        }
    });
    function place(bar) {
        const shape = bar.firstElementChild;
        return shape.getAttribute("x") ?? shape.getAttribute("cx") ?? shape.getAttribute("x1");
    }
    const find = (bar) => {
        for (const [number, row] of rows.entries()) {
            const index = row.findIndex((each) => each.bar === bar);
            if (index >= 0) {
                return [number, index];
            }
        }
        return null;
    };
    const nearest = (row, at) =>
        row?.reduce((best, each) => (Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best)).bar;
    const aim = (key, number, index) => {
        const row = rows[number];
        return {
            ArrowLeft: () => row[index - 1]?.bar,
            ArrowRight: () => row[index + 1]?.bar,
            ArrowUp: () => nearest(rows[number - 1], row[index].at),
            ArrowDown: () => nearest(rows[number + 1], row[index].at),
            Home: () => row[0].bar,
            End: () => row.at(-1).bar,
        }[key]?.();
    };
    lanes.addEventListener("keydown", (event) => {
        const bar = event.target.closest(".cronkite-bar");
        if (!bar || event.altKey || event.ctrlKey || event.metaKey) {
            return;
        }
        if (event.key === "Escape") {
            hide();
            return;
        }
        const next = aim(event.key, ...find(bar));
        if (next) {
            event.preventDefault(); // of the page, to scroll
            next.focus();
        }
    });
    lanes.addEventListener("focusin", (event) => {
        const bar = event.target.closest(".cronkite-bar");
        if (!bar) {
            return;
        }
        for (const each of rows[find(bar)[0]]) {
            each.bar.setAttribute("tabindex", each.bar === bar ? "0" : "-1");
        }
        if (!byTouch) {
            bar.scrollIntoView({block: "nearest"});
            show(bar);
        }
    });
    lanes.addEventListener("focusout", hide);

    // A finger can't point without a tap: the first one shows the tip, and the second follows the link.
    document.addEventListener("pointerdown", (event) => {
        byTouch = event.pointerType === "touch";
        if (byTouch && event.target.closest?.(".cronkite-bar") !== shown) {
            hide();
        }
    }, true);
    lanes.addEventListener("click", (event) => {
        const bar = event.target.closest(".cronkite-bar");
        if (bar && byTouch && bar !== shown) {
            event.preventDefault();
            show(bar, bar.hasAttribute("href") ? lanes.dataset.again : "");
        }
    });
    lanes.addEventListener("pointerover", (event) => {
        const bar = event.target.closest(".cronkite-bar");
        if (event.pointerType !== "touch" && bar && bar !== shown) {
            show(bar);
        }
    });
    lanes.addEventListener("pointerout", (event) => {
        const bar = event.target.closest(".cronkite-bar");
        if (event.pointerType !== "touch" && bar && !bar.contains(event.relatedTarget)) {
            hide();
        }
    });
    document.addEventListener("keydown", (event) => {
        byTouch = false;
        if (event.key === "Escape") {
            hide();
        }
    }, true);
    for (const moved of ["scroll", "resize"]) {
        window.addEventListener(moved, () => shown && settle(), {passive: true, capture: true});
    }
});
