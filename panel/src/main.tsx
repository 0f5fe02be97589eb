import { render } from "preact";
import { App } from "./app";
import { begin } from "./lib/session";

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void begin();
