/* The job form's preview: what the schedule and the function come to, as one types. Without it, a save shows the same. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const ahead = document.getElementById("cronkite-ahead");
    const takes = document.getElementById("cronkite-takes");
    if (!ahead || !ahead.dataset.url) {
        return;
    }
    const fields = ["function", "args", "kwargs", "schedule", "timezone"]
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
    let timer, request;

    const ask = async () => {
        const query = new URLSearchParams(fields.map((field) => [field.name, field.value]));
        request?.abort();
        request = new AbortController();
        try {
            const response = await fetch(`${ahead.dataset.url}?${query}`, {
                signal: request.signal,
                headers: {Accept: "application/json"},
            });
            if (!response.ok) {
                return;
            }
            const answer = await response.json();
            // The server has escaped what people typed, as for the page itself.
            ahead.innerHTML = answer.ahead;
            takes.innerHTML = answer.takes;
            if (said.textContent !== answer.words) {
                said.textContent = answer.words;
            }
        } catch (error) {
            if (error.name !== "AbortError") {
                console.warn("The preview could not be had:", error);
            }
        }
    };
    for (const field of fields) {
        field.addEventListener("input", () => {
            clearTimeout(timer);
            timer = setTimeout(ask, 250);
        });
    }
});
