// Where the person is: "#/setup", "#/?hours=table".  Path and parameters live
// in the address, so that back, forward, reload and shared links work.
import { signal } from "@preact/signals";

export interface Route {
  path: string;
  params: Readonly<Record<string, string>>;
}

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  return {
    path: path.startsWith("/") ? path : "/",
    params: Object.fromEntries(new URLSearchParams(query)),
  };
}

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

/** The address of a page, for links. */
export function href(path: string, params: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams(params).toString();
  return `#${path}${query === "" ? "" : `?${query}`}`;
}

/** Go to a page, so that "back" returns to this one. */
export function go(path: string): void {
  location.hash = href(path);
  route.value = parse(location.hash);
}

/** Change one parameter of this page in place; "" removes it. */
export function setParam(name: string, value: string): void {
  const params = { ...route.value.params };
  if (value === "") delete params[name];
  else params[name] = value;
  history.replaceState(null, "", href(route.value.path, params));
  route.value = { path: route.value.path, params };
}
