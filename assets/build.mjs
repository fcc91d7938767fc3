// Bundle every entry point of assets/src into build/static with content-hashed names, and list them in manifest.json.
//
// An entry point is a .js, .ts or .css file directly in assets/src; files in its sub-folders are imported by entry points.
// manifest.json maps "storefront.js" to "storefront-ABCDEFGH.js"; a page asks for the name, the browser caches the hash
// for ever. The output is made beside the old one and swapped in at the end: a server never sees half of a build.

import { build } from "esbuild";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const source = path.join(here, "src");
const output = path.join(here, "..", "build", "static");
const fresh = `${output}.fresh`;

const entries = (await readdir(source, { withFileTypes: true }))
  .filter((file) => file.isFile() && /\.(js|ts|css)$/.test(file.name) && !file.name.endsWith(".d.ts"))
  .map((file) => path.join(source, file.name))
  .sort();

await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: entries,
  outdir: fresh,
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  minify: true,
  sourcemap: "linked",
  legalComments: "linked",
  metafile: true,
  logLevel: "warning",
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file", ".svg": "file", ".png": "file", ".avif": "file", ".webp": "file" },
});

const manifest = {};
const claim = (name, file) => {
  if (name in manifest) {
    throw new Error(`Two sources make ${name}: name one of them differently (a script that imports CSS makes a style sheet of its own name).`);
  }
  manifest[name] = file;
};

const copied = /\.(woff2|svg|png|avif|webp)$/;
for (const [file, made] of Object.entries(metafile.outputs)) {
  const name = path.basename(file);
  if (made.entryPoint) {
    claim(path.basename(made.entryPoint).replace(/\.ts$/, ".js"), name);
    if (made.cssBundle) {
      claim(path.basename(made.entryPoint).replace(/\.(js|ts)$/, ".css"), path.basename(made.cssBundle));
    }
  } else if (copied.test(name)) {
    claim(path.basename(Object.keys(made.inputs)[0]), name);
  }
}

const sorted = Object.fromEntries(Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1)));
await writeFile(path.join(fresh, "manifest.json"), `${JSON.stringify(sorted, null, 2)}\n`);

await rm(output, { recursive: true, force: true });
await rename(fresh, output);
