/** The route that Envoy chose for this request, read at most once per callback. */
import { ABSENT, View, utf8 } from "../bytes";
import { currentCallback } from "../memory";
import { getProperty } from "../properties";

const ROUTE_NAME = utf8("xds\0route_name");

let loadedIn: u32 = 0;
let name: View = ABSENT;

/** The route's name; empty for an unnamed route, {@link ABSENT} where no route matched. */
export function currentRoute(): View {
  if (loadedIn != currentCallback()) {
    loadedIn = currentCallback();
    name = getProperty(ROUTE_NAME);
  }
  return name;
}

/** After the route cache was cleared: {@link currentRoute} asks again. Envoy tells the new route from the next callback on. */
export function forgetRoute(): void {
  loadedIn = 0;
}
