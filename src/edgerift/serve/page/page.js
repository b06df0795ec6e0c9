"use strict";
const main = document.querySelector("main");
const at = (id) => document.getElementById(id);
const [channels, height, width] = ["channels", "height", "width"].map((key) => Number(main.dataset[key]));

function say(text, isError) {
  at("state").textContent = text;
  at("state").className = isError ? "error" : "";
}

async function ask(path, options = {}) {
  const token = at("token").value.trim();
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.error);
  return reply;
}

async function budget() {
  const client = await ask("client");
  say(`${client.name}: ${client.remaining} of ${client.budget} images left.`);
  return client;
}

async function pixels(file) {
  const image = await createImageBitmap(file);
  const context = at("shown").getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  at("shown").hidden = false;
  const rgba = context.getImageData(0, 0, width, height).data;
  const count = width * height;
  const data = new Array(channels * count);
  for (let place = 0; place < count; place += 1) {
    const [red, green, blue] = rgba.subarray(4 * place, 4 * place + 3);
    if (channels === 1) data[place] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    else [red, green, blue].forEach((value, channel) => { data[channel * count + place] = value; });
  }
  return data;
}

async function classify() {
  const data = await pixels(at("file").files[0]);
  const input = { name: "image", datatype: "UINT8", shape: [1, channels, height, width], data };
  const path = `v2/models/${encodeURIComponent(main.dataset.name)}/infer`;
  const reply = await ask(path, { method: "POST", body: JSON.stringify({ inputs: [input] }) });
  const { classes } = await budget();
  const ranked = reply.outputs[0].data.map((value, place) => [value, classes[place]]).sort((a, b) => b[0] - a[0]);
  const rows = ranked.slice(0, 5).map(([value, name]) => {
    const row = document.createElement("tr");
    for (const text of [name, `${(100 * value).toFixed(1)} %`]) row.insertCell().textContent = text;
    return row;
  });
  document.querySelector("tbody").replaceChildren(...rows);
  at("answers").hidden = false;
}

const guarded = (work) => (event) => {
  event.preventDefault();
  work().catch((error) => say(error.message, true));
};
at("form").addEventListener("submit", guarded(classify));
at("budget").addEventListener("click", guarded(budget));
