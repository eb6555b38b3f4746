/* A log's page: a button that copies a text. Without scripts, or where a page may not copy, there is none. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button.cronkite-copy")) {
        const text = document.getElementById(button.dataset.copies);
        if (!text) {
            continue;
        }
        const label = button.textContent;
        button.hidden = false;
        button.addEventListener("click", async () => {
            try {
                await navigator.clipboard.writeText(text.textContent);
            } catch {
                // Over plain HTTP there is no clipboard. What is selected can be copied by the keyboard.
                getSelection().selectAllChildren(text);
                if (!document.execCommand("copy")) {
                    return;
                }
            }
            button.textContent = button.dataset.done;
            setTimeout(() => {
                button.textContent = label;
            }, 2000);
        });
    }
});
