//! What the public page and the poster say about the school itself. All of it is configuration: nothing is guessed (R17).

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct School {
    /// «Гимназия Культуры мира им. А. Д. Адилсолтанова».
    pub name: String,
    /// Address of the school's own site.
    pub site: Option<String>,
    /// Where the regulation can be read.
    pub regulation_url: Option<String>,
    /// The order that set up the help: «№ 60 от 22.12.2023». `None`: not told.
    pub order: Option<String>,
}
