import { tell } from "./captions.js";
import { watch } from "./pictures.js";

watch(document.querySelector(".post"));
for (const caption of document.querySelectorAll(".caption[data-src]")) tell(caption, "No caption.");
