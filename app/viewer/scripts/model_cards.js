// What the checkpoints on offer were trained on, and how well they did.

// The menu: names, with what each is for. A single one is named, and there is nothing to choose.
function fillModelMenu(select, cards) {
  select.disabled = cards.length < 2;
  select.replaceChildren(...cards.map((card) => {
    const what = [card.modality, card.anatomy].filter(Boolean).join(", ");
    return new Option(what ? card.name + " (" + what + ")" : card.name, card.name);
  }));
}

function fillModelSheet(sheet, cards) {
  const close = node("button", "×");
  Object.assign(close, { type: "button", className: "cs-button cs-icon", title: "Close (Esc)" });
  close.setAttribute("aria-label", "Close");
  close.onclick = () => sheet.close();
  const head = node("header");
  head.append(node("h2", "Models"), close);
  sheet.replaceChildren(head, ...cards.map(modelCard));
}

function modelCard({ name, description, modality, anatomy, lesion, spacing, figures, licence }) {
  const card = node("section");
  card.dataset.card = name;
  const facts = [
    ["Modality", modality],
    ["Anatomy", anatomy],
    ["Lesion", lesion],
    ["Voxels it was trained on", spacing.map((mm) => Number(mm.toPrecision(3))).join(" × ") + " mm"],
    ...figures,
    ["Licence", licence],
  ];
  const list = node("dl");
  for (const [what, value] of facts.filter(([, value]) => value)) {
    const row = node("div");
    row.append(node("dt", what), node("dd", value));
    list.append(row);
  }
  card.append(node("h3", name), node("p", description), list);
  return card;
}
