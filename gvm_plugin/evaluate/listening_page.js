// The listening test: one listener, samples in the listener's own order, marks by keys, answers as CSV.
// Plain script: it runs from file:// without a server. All that it keeps is in this browser's localStorage.
(() => {
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const film = $("film");
const STEP_SECONDS = 1.5;  // time between two reports of the player; more is a jump and counts as not heard

const GOOD = ["very poor", "poor", "rather poor", "fair", "rather good", "good", "excellent"];
const FIT = ["not at all", "hardly", "rather badly", "partly", "rather well", "well", "perfectly"];
const RICH = ["all the same", "poor", "rather poor", "fair", "rather rich", "rich", "very rich"];
const QUESTIONS = {
  OMQ: { name: "Overall music quality", ask: "How good is the music?",
    more: "Is it well made, and does it make sense as music?", marks: GOOD },
  MVC: { name: "Music-video correspondence", ask: "How well does the music fit the film?",
    more: "Think of mood, of what is shown, and of the rhythm of the picture.", marks: FIT },
  MR: { name: "Music richness", ask: "How rich and varied is the music of this series?",
    more: "Think of styles, instruments and ideas over all pieces together.", marks: RICH },
};

let state = null;  // { participant, expert, begun, step, answers: { item: { OMQ, MVC, MR, plays, listened, at } }, comment }
let steps = [];    // { item, parts: [{ id, seconds }], questions: ["OMQ", "MVC"] } in this listener's order
let part = 0;      // which piece of a series is on
let question = 0;  // which question the digits answer
let last = 0;      // where in the piece the player was when it last reported

// --- what this listener hears, and what is kept ----------------------------------------------------------------

function row(code, count) {
  // P07 gets order 7; a code without a number gets one of its own that stays the same.
  const number = /(\d{1,9})\s*$/.exec(code);
  if (number) return (Number(number[1]) + count - 1) % count;
  let hash = 2166136261;
  for (const sign of code) hash = Math.imul(hash ^ sign.codePointAt(0), 16777619);
  return (hash >>> 0) % count;
}

function planFor(code) {
  const samples = data.orders[row(code, data.orders.length)].map((index) => (
    { item: data.samples[index].id, parts: [data.samples[index]], questions: ["OMQ", "MVC"] }));
  if (!data.series.length) return samples;
  const series = data.seriesOrders[row(code, data.seriesOrders.length)].map((index) => (
    { item: data.series[index].id, parts: data.series[index].samples.map((each) => data.samples[each]), questions: ["MR"] }));
  return [...samples, ...series];
}

const place = (code) => `gvm-listening:${data.test}:${code}`;

function load(code) {
  try { return JSON.parse(localStorage.getItem(place(code))); } catch { return null; }
}

function keep() {
  try { localStorage.setItem(place(state.participant), JSON.stringify(state)); return true; } catch { return false; }
}

const tidy = (code) => code.trim().replace(/\s+/g, " ").toUpperCase();
const answersOf = (step) => state.answers[step.item] ??= { plays: 0, listened: 0 };
const heard = (step) => answersOf(step).plays > 0 || answersOf(step).broken;
const complete = (step) => answersOf(step).broken || step.questions.every((name) => answersOf(step)[name]);

// --- screens ---------------------------------------------------------------------------------------------------

function show(name) {
  for (const id of ["start", "test", "end"]) $(id).hidden = id !== name;
  window.scrollTo(0, 0);
}

function showStep(index) {
  film.pause();
  state.step = index;
  keep();
  if (index >= steps.length) return showEnd();
  show("test");
  part = 0;
  question = Math.max(0, steps[index].questions.findIndex((name) => !answersOf(steps[index])[name]));
  loadPart();
  drawQuestions();
  draw();
  tell(heard(steps[index]) ? "" : steps[index].parts.length > 1
    ? "A series: the music of all these films comes from the same composer. Press Space, and hear it to the end."
    : "Press Space to play. You can give marks when it has played to its end.");
  focusQuestion();
}

function loadPart() {
  const step = steps[state.step];
  last = 0;
  film.src = `media/${step.parts[part].id}.mp4`;
  film.load();
  $("position").value = 0;
}

function drawQuestions() {
  const step = steps[state.step];
  $("questions").replaceChildren(...step.questions.map((name, index) => {
    const about = QUESTIONS[name];
    const box = document.createElement("div");
    box.className = "question";
    box.id = `question-${name}`;
    box.tabIndex = -1;
    box.setAttribute("role", "group");
    box.setAttribute("aria-labelledby", `ask-${name}`);
    box.addEventListener("focusin", () => { question = index; draw(); });
    const ask = document.createElement("p");
    ask.className = "ask";
    ask.id = `ask-${name}`;
    const more = document.createElement("span");
    more.textContent = ` ${about.more}`;
    ask.append(about.ask, more);
    const marks = document.createElement("div");
    marks.className = "marks";
    about.marks.forEach((word, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.mark = at + 1;
      button.setAttribute("aria-label", `${about.name}: ${at + 1} of 7, ${word}`);
      const small = document.createElement("small");
      small.textContent = word;
      button.append(String(at + 1), small);
      button.addEventListener("click", () => { question = index; mark(at + 1); });
      marks.append(button);
    });
    box.append(ask, marks);
    return box;
  }));
}

function draw() {
  const step = steps[state.step];
  const series = step.parts.length > 1;
  const samples = steps.filter((each) => each.parts.length === 1).length;
  const inSeries = series || step.questions[0] === "MR";
  $("place").textContent = inSeries
    ? `Series ${state.step - samples + 1} of ${steps.length - samples}` + (series ? `, film ${part + 1} of ${step.parts.length}` : "")
    : `Sample ${state.step + 1} of ${samples}`;
  $("done").value = steps.filter(complete).length / steps.length;
  const playing = !film.paused && !film.ended;
  $("stage").classList.toggle("playing", playing);
  $("play").textContent = playing ? "Pause" : heard(step) ? "Play again" : "Play";
  const times = answersOf(step).plays;
  $("heard").textContent = times ? `heard ${times === 1 ? "once" : `${times} times`}` : "not heard to the end yet";
  step.questions.forEach((name, index) => {
    const box = $(`question-${name}`);
    box.classList.toggle("current", index === question);
    for (const button of box.querySelectorAll("button")) {
      button.disabled = !heard(step);
      button.setAttribute("aria-pressed", String(answersOf(step)[name] === Number(button.dataset.mark)));
    }
  });
  $("back").disabled = state.step === 0;
  $("next").disabled = !complete(step);
}

function tell(text) { $("status").textContent = text; }

function focusQuestion() {
  $(`question-${steps[state.step].questions[question]}`)?.focus({ preventScroll: true });
}

// --- playing ---------------------------------------------------------------------------------------------------

function togglePlay() {
  if (!film.paused && !film.ended) return film.pause();
  const step = steps[state.step];
  if (film.ended && step.parts.length > 1) { part = 0; loadPart(); }
  film.play().catch(() => tell("The browser didn't start the film; press Play once more."));
}

film.addEventListener("timeupdate", () => {
  if (!state || $("test").hidden) return;
  const moved = film.currentTime - last;
  if (moved > 0 && moved < STEP_SECONDS) answersOf(steps[state.step]).listened += moved;
  last = film.currentTime;
  const step = steps[state.step];
  const before = step.parts.slice(0, part).reduce((sum, each) => sum + each.seconds, 0);
  $("position").value = (before + film.currentTime) / step.parts.reduce((sum, each) => sum + each.seconds, 0);
});

film.addEventListener("seeking", () => {  // by a media key or a script; a piece is heard from beginning to end
  if (film.currentTime > last + STEP_SECONDS) film.currentTime = last;
});

film.addEventListener("ratechange", () => { if (film.playbackRate !== 1) film.playbackRate = 1; });

film.addEventListener("ended", () => {
  const step = steps[state.step];
  $("position").value = 1;
  if (part + 1 < step.parts.length) {
    part += 1;
    loadPart();
    film.play().catch(() => tell("Press Space to go on."));
    return draw();
  }
  answersOf(step).plays += 1;
  keep();
  draw();
  tell(complete(step) ? "" : "Now your mark, 1 to 7.");
  if (!$("questions").contains(document.activeElement)) focusQuestion();
});

film.addEventListener("error", () => {
  if (!film.error || !state || $("test").hidden) return;
  answersOf(steps[state.step]).broken = true;
  keep();
  draw();
  tell("This sample can't be played here. Please tell whoever asked you; go on with Next.");
});

for (const name of ["play", "pause"]) film.addEventListener(name, () => { if (state && !$("test").hidden) draw(); });

// --- marking and moving ----------------------------------------------------------------------------------------

function mark(value) {
  const step = steps[state.step];
  const name = step.questions[question];
  if (!heard(step)) return tell("Please hear it to its end first: Space plays.");
  const answers = answersOf(step);
  answers[name] = value;
  answers.at = new Date().toISOString();
  keep();
  const about = QUESTIONS[name];
  tell(`${about.name}: ${value}, ${about.marks[value - 1]}.` + (complete(step) ? " → goes on." : ""));
  const open = step.questions.findIndex((each) => !answers[each]);
  if (open >= 0) question = open;
  draw();
  if (complete(step)) $("next").focus({ preventScroll: true });
  else focusQuestion();
}

function goOn() {
  if (complete(steps[state.step])) return showStep(state.step + 1);
  tell(heard(steps[state.step]) ? "A mark is missing." : "Please hear it to its end first: Space plays.");
}

function goBack() { if (state.step > 0) showStep(state.step - 1); }

function turn(by) {
  const count = steps[state.step].questions.length;
  question = (question + by + count) % count;
  draw();
  focusQuestion();
}

document.addEventListener("keydown", (event) => {
  if ($("test").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    " ": togglePlay, ArrowRight: goOn, ArrowLeft: goBack, ArrowDown: () => turn(1), ArrowUp: () => turn(-1),
  };
  const action = /^[1-7]$/.test(event.key) ? () => mark(Number(event.key)) : keys[event.key];
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) action();
});
// Buttons would be pressed when Space is let go; here Space belongs to the player, and Enter presses.
document.addEventListener("keyup", (event) => { if (event.key === " " && !$("test").hidden) event.preventDefault(); });

// --- the answers as a file -------------------------------------------------------------------------------------

const HEAD = ["test", "participant", "expert", "question", "item", "answer", "plays", "listened_seconds", "position",
  "answered_at"];

function csv() {
  const lines = [HEAD];
  steps.forEach((step, index) => {
    const { plays, listened, at } = answersOf(step);
    for (const name of step.questions) {
      lines.push([data.test, state.participant, state.expert, name, step.item, answersOf(step)[name] ?? "", plays,
        listened.toFixed(1), index + 1, at ?? ""]);
    }
  });
  if (state.comment) {
    lines.push([data.test, state.participant, state.expert, "comment", "", state.comment, "", "", "", ""]);
  }
  const quoted = (value) => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  return lines.map((line) => line.map((value) => quoted(String(value))).join(",") + "\r\n").join("");
}

function showEnd() {
  show("end");
  const open = steps.filter((step) => !step.questions.every((name) => answersOf(step)[name])).length;
  $("missing").hidden = !open;
  $("missing").textContent = `${open} of ${steps.length} samples have no mark yet.`;
  $("comment").value = state.comment ?? "";
  $("text").value = csv();
  $("saved").textContent = "";
  $("save").focus();
}

$("comment").addEventListener("input", () => { state.comment = $("comment").value.trim(); keep(); $("text").value = csv(); });

$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
  link.download = `answers-${data.test}-${state.participant.replace(/[^\w-]/g, "_")}.csv`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  $("saved").textContent = `Saved as ${link.download}, where this browser puts downloads.`;
});

$("again").addEventListener("click", () => {
  const open = steps.findIndex((step) => !complete(step));
  showStep(open >= 0 ? open : steps.length - 1);
});
$("other").addEventListener("click", () => { state = null; $("form").reset(); begin(); });
$("play").addEventListener("click", togglePlay);
$("cover").addEventListener("click", togglePlay);
$("next").addEventListener("click", goOn);
$("back").addEventListener("click", goBack);

// --- beginning -------------------------------------------------------------------------------------------------

$("check").addEventListener("click", () => {
  film.src = "media/check.m4a";
  film.play().catch(() => {});
});

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = tidy($("code").value);
  const expert = document.querySelector("input[name=expert]:checked").value;
  steps = planFor(code);
  state = load(code) ?? { participant: code, begun: new Date().toISOString(), step: 0, answers: {} };
  state.expert = expert;
  showStep(Math.min(state.step, steps.length));
});

function begin() {
  const seconds = data.samples.reduce((sum, each) => sum + each.seconds, 0)
    + data.series.flatMap((each) => each.samples).reduce((sum, each) => sum + data.samples[each].seconds, 0);
  const marks = data.samples.length + data.series.length;
  $("how-many").textContent = `${data.samples.length} samples` + (data.series.length ? ` and ${data.series.length} series` : "");
  const minutes = Math.round((seconds + 10 * marks) / 60);
  $("how-long").textContent = minutes > 1 ? `about ${minutes} minutes` : "about a minute";
  try {
    localStorage.setItem("gvm-listening", "1");
    localStorage.removeItem("gvm-listening");
  } catch { $("storage").hidden = false; }
  show("start");
  $("code").focus();
}

begin();
})();
