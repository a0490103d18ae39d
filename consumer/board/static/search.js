import { tell } from "./captions.js";
import { watch } from "./pictures.js";

const main = document.getElementById("main");
watch(main);
for (const caption of main.querySelectorAll(".caption[data-src]")) tell(caption);
