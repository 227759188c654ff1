import picocolors from "picocolors";

const { env, stdout } = process;
const wanted = !env.NO_COLOR && (Boolean(env.FORCE_COLOR) || (stdout.isTTY === true && env.TERM !== "dumb"));

/** Colours for a terminal, and nowhere else: picocolors by itself would colour pipes and files wherever CI is set. */
export const colors = picocolors.createColors(wanted);
