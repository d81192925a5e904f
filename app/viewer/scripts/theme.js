// Dark, as reading rooms are, or light: as the system says until the person chooses, then as they
// chose last on this machine.

const THEME_KEY = "caiseg-theme";

// Returns a function that goes to the other theme.
function attachTheme(button) {
  const system = window.matchMedia("(prefers-color-scheme: light)");
  const show = () => {
    const theme = localStorage.getItem(THEME_KEY) ?? (system.matches ? "light" : "dark");
    document.documentElement.dataset.theme = theme;
    press(button, theme === "light");
  };
  system.addEventListener("change", show);
  show();
  return () => {
    const dark = document.documentElement.dataset.theme === "dark";
    localStorage.setItem(THEME_KEY, dark ? "light" : "dark");
    show();
  };
}
