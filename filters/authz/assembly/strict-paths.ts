/** `strictPaths`: a request is let through only if it is in every reading of its path. */
import { ABSENT, View, sameBytes, size } from "../../sdk/assembly/bytes";
import { Engine } from "./engine";
import { Field } from "./fields";
import { Input } from "./match/input";
import { Part } from "./match/records";
import { Reading, isAmbiguous, isPlain, readAs } from "./match/path-readings";

export enum PathVerdict { Allowed, Denied, Ambiguous }

/** Readings in which ALLOW rules must match too, since they change what a path leads to and not how it is spelt. */
const BOTH = 2;
const READINGS = memory.data<u8>([
  <u8>(Reading.Stripped), <u8>(Reading.Stripped | Reading.Structural),
  <u8>(Reading.Neutral), <u8>(Reading.Decoded), <u8>(Reading.Decoded | Reading.Neutral),
  <u8>(Reading.Decoded | Reading.Stripped), <u8>(Reading.Decoded | Reading.Stripped | Reading.Neutral),
  <u8>(Reading.Stripped | Reading.Neutral),
]);
const COUNT = 8;

/**
 * Looks again at a request that the policies allowed. After `Denied`, {@link Engine.rule} tells by what.
 *
 * @param path without query; the input has it again afterwards
 * @param fragment something followed that a client keeps to itself: `#`
 */
export function checkReadings(engine: Engine, input: Input, path: View, fragment: bool, part: Part = Part.Enforced): PathVerdict {
  if (fragment) return PathVerdict.Ambiguous;
  if (path == ABSENT || size(path) == 0 || isPlain(path)) return PathVerdict.Allowed;
  if (isAmbiguous(path)) return PathVerdict.Ambiguous;
  for (let i = 0; i < COUNT; i++) {
    const reading = readAs(path, load<u8>(READINGS + i));
    if (sameBytes(reading, path)) continue;
    input.setText(Field.Path, reading);
    const allowed = engine.allows(input, part);
    input.setText(Field.Path, path);
    if (allowed) continue;
    if (i < BOTH || engine.rule !== null) return PathVerdict.Denied;
    // No ALLOW rule speaks of the path as it is spelt here; then the one that does must not exclude this reading of it.
    input.excludedPath = reading;
    const included = engine.allows(input, part);
    input.excludedPath = ABSENT;
    if (!included) return PathVerdict.Denied;
  }
  return PathVerdict.Allowed;
}
