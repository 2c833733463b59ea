//! The figures, beside their budgets.

/// How a figure is judged.
enum Budget {
    /// A count, or a ratio of figures of this run: it decides whether the whole passes.
    Count(f64),
    /// A time, a share of the processor or of memory: it depends on the machine and what else runs there.
    Guide(f64),
    /// There is none.
    None,
}

struct Row {
    what: &'static str,
    figure: &'static str,
    value: f64,
    unit: &'static str,
    budget: Budget,
}

/// All figures, in the order in which they were taken.
#[derive(Default)]
pub struct Table(Vec<Row>);

/// The figures of one part.
pub struct Part<'a> {
    table: &'a mut Table,
    what: &'static str,
}

impl Table {
    pub fn part(&mut self, what: &'static str) -> Part<'_> {
        Part { table: self, what }
    }

    /// True if every count is within its budget.
    pub fn passes(&self) -> bool {
        self.0.iter().all(|row| match row.budget {
            Budget::Count(most) => row.value <= most,
            Budget::Guide(_) | Budget::None => true,
        })
    }

    pub fn print(&self) {
        println!(
            "\n{:<34} {:<44} {:>10} {:>10}  verdict",
            "what", "figure", "measured", "budget"
        );
        let mut last = "";
        for row in &self.0 {
            let what = if row.what == last { "" } else { row.what };
            last = row.what;
            let (budget, verdict) = match row.budget {
                Budget::Count(most) if row.value <= most => (number(most), "PASS"),
                Budget::Count(most) => (number(most), "FAIL"),
                Budget::Guide(most) if row.value <= most => (number(most), "within"),
                Budget::Guide(most) => (number(most), "over"),
                Budget::None => (String::new(), ""),
            };
            let figure = if row.unit.is_empty() {
                row.figure.to_owned()
            } else {
                format!("{} ({})", row.figure, row.unit)
            };
            let line = format!(
                "{what:<34} {figure:<44} {:>10} {budget:>10}  {verdict}",
                number(row.value)
            );
            println!("{}", line.trim_end());
        }
    }
}

impl Part<'_> {
    fn add(
        &mut self,
        figure: &'static str,
        value: f64,
        unit: &'static str,
        budget: Budget,
    ) -> &mut Self {
        self.table.0.push(Row {
            what: self.what,
            figure,
            value,
            unit,
            budget,
        });
        self
    }

    /// A count or a ratio that must not be greater than `most`.
    pub fn count(&mut self, figure: &'static str, value: f64, most: f64) -> &mut Self {
        self.add(figure, value, "", Budget::Count(most))
    }

    /// A figure that should not be greater than `most`, if there is a budget.
    pub fn guide(
        &mut self,
        figure: &'static str,
        value: f64,
        unit: &'static str,
        most: Option<f64>,
    ) -> &mut Self {
        self.add(
            figure,
            value,
            unit,
            most.map_or(Budget::None, Budget::Guide),
        )
    }

    /// A figure to look at.
    pub fn show(&mut self, figure: &'static str, value: f64) -> &mut Self {
        self.add(figure, value, "", Budget::None)
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
