import { watch } from "./pictures.js";

watch(document.querySelector(".post"));
