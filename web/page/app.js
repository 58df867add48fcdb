import { translate, switchLanguage } from "./language.js";
import * as conversation from "./conversation.js";
import * as library from "./library.js";
import * as machine from "./machine.js";

const $ = (id) => document.getElementById(id);

translate();
conversation.start();
machine.start();
library.start((collections) => conversation.offer(collections));

for (const button of document.querySelectorAll("[data-show]")) {
  const show = () => {
    document.body.dataset.view = button.dataset.show;
    for (const b of document.querySelectorAll("[data-show]")) b.setAttribute("aria-pressed", b === button);
  };
  button.addEventListener("click", show);
  if (button.dataset.show === document.body.dataset.view) show();
}

$("language").addEventListener("click", () => {
  switchLanguage();
  library.refresh();
  library.follow();
});
