/* A log's page: a button that copies a text. Without scripts, or where a page may not copy, there is none. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const show = () => {
        for (const button of document.querySelectorAll("button.cronkite-copy[hidden]")) {
            button.hidden = !document.getElementById(button.dataset.copies);
        }
    };
    document.addEventListener("click", async (event) => {
        const button = event.target.closest("button.cronkite-copy");
        if (!button) {
            return;
        }
        const text = document.getElementById(button.dataset.copies);
        try {
            await navigator.clipboard.writeText(text.textContent);
        } catch {
            // Over plain HTTP there is no clipboard. What is selected can be copied by the keyboard.
            getSelection().selectAllChildren(text);
            if (!document.execCommand("copy")) {
                return;
            }
        }
        const label = button.textContent;
        if (label !== button.dataset.done) {
            button.textContent = button.dataset.done;
            setTimeout(() => {
                button.textContent = label;
            }, 2000);
        }
    });
    // A run that goes on may have written something since.
    document.addEventListener("cronkite:renewed", show);
    show();
});
