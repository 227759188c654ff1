/** Envoy in a container. Apart from index.ts, because it loads Testcontainers, which takes a moment. */
export { startEnvoyContainer, type ContainerOptions, type EnvoyContainer } from "./container.ts";
export { buildImage, findEnvoyImage, haveImage, officialImage, type EnvoyImage } from "./image.ts";
export { docker } from "./once.ts";
