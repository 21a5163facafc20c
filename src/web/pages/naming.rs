//! Colleagues' names in sentences: what somebody did is said of a woman or a man, or of both where the name does not tell.

/// Women's names here that end in a consonant.
const WOMEN: [&str; 21] = [
    "Айшат",
    "Асет",
    "Аминат",
    "Зайнап",
    "Зулихан",
    "Зулай",
    "Куржан",
    "Малкан",
    "Марет",
    "Марьям",
    "Патимат",
    "Петимат",
    "Раисат",
    "Румиш",
    "Сацита",
    "Табарик",
    "Тоит",
    "Умукусум",
    "Хадижат",
    "Хеди",
    "Яхит",
];
/// Men's names that end like women's.
const MEN: [&str; 12] =
    ["Муса", "Иса", "Абдулла", "Яхья", "Мустафа", "Илья", "Никита", "Кузьма", "Лука", "Фома", "Закария", "Хамза"];

/// «взял» → «взяла» of Айшат М., «взял» of Муса А., «взял(а)» where the name does not tell.
pub(super) fn past(verb: &str, name: &str) -> String {
    let first = name.split([' ', '.']).next().unwrap_or(name);
    let ending = match first {
        man if MEN.contains(&man) => "",
        woman if WOMEN.contains(&woman) || woman.ends_with(['а', 'я']) => "а",
        _ => "(а)",
    };
    format!("{verb}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_did_is_said_as_the_name_tells() {
        for (name, said) in [
            ("Айшат М.", "взяла"),
            ("Мадина И.", "взяла"),
            ("Муса А.", "взял"),
            ("Магомед", "взял(а)"),
            ("", "взял(а)"),
        ] {
            assert_eq!(past("взял", name), said, "{name}");
        }
    }
}
