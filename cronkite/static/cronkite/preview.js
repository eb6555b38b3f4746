/* The job form's preview: what the schedule and the function come to, as one types. Without it, a save shows the same. */
"use strict";
/* How long an answer may take, in milliseconds. */
const PATIENCE = 10000;
document.addEventListener("DOMContentLoaded", () => {
    const ahead = document.getElementById("cronkite-ahead");
    const takes = document.getElementById("cronkite-takes");
    if (!ahead || !ahead.dataset.url) {
        return;
    }
    const fields = ["name", "function", "args", "kwargs", "schedule", "timezone"]
        .map((name) => document.getElementById(`id_${name}`))
        .filter((field) => field);
    if (!fields.length) {
        return; // a page to look at
    }
    // Read aloud when it changes: the words alone, not ten runs at each key.
    const said = document.createElement("p");
    said.className = "visually-hidden";
    said.setAttribute("role", "status");
    ahead.after(said);
    // Said instead of a preview that can't be had: what stands there is of what was typed before.
    const silent = document.createElement("p");
    silent.className = "cronkite-problem";
    silent.setAttribute("role", "alert");
    ahead.before(silent);
    let timer, request;

    const tell = (words) => {
        silent.textContent = words;
        ahead.classList.toggle("cronkite-stale", words !== "");
        takes.classList.toggle("cronkite-stale", words !== "");
    };

    const ask = async () => {
        const url = new URL(ahead.dataset.url, window.location.href);
        for (const field of fields) {
            url.searchParams.set(field.name, field.value);
        }
        request?.abort();
        const mine = new AbortController();
        request = mine;
        let late = false;
        const patience = setTimeout(() => {
            late = true;
            mine.abort();
        }, PATIENCE);
        try {
            const response = await fetch(url, {
                signal: mine.signal,
                headers: {Accept: "application/json"},
            });
            // A page to log in is an answer to another question, and no JSON.
            if (!response.ok) {
                throw new Error(`${response.status}`);
            }
            const answer = await response.json();
            // The server has escaped what people typed, as for the page itself.
            ahead.innerHTML = answer.ahead;
            takes.innerHTML = answer.takes;
            if (said.textContent !== answer.words) {
                said.textContent = answer.words;
            }
            tell("");
        } catch (error) {
            if (late || error.name !== "AbortError") {
                console.warn("The preview could not be had:", error);
                tell(ahead.dataset.silent);
            }
        } finally {
            clearTimeout(patience);
        }
    };
    for (const field of fields) {
        field.addEventListener("input", () => {
            clearTimeout(timer);
            timer = setTimeout(ask, 250);
        });
    }
    // Typed before this script was there, or filled in again by the browser: the page was made for other values.
    if (fields.some((field) => field.value !== field.defaultValue)) {
        ask();
    }
});
