//! Samples as readable tables, and as JSON.

use crate::counts::Counts;
use crate::options::Options;
use crate::stats::{median, spread};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What a figure of Portcullis should reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Nothing: for information.
    None,
    /// At most this.
    Most(f64),
    /// At most this times PgBouncer's.
    Share(f64),
}

/// One figure of all contenders.
pub struct Row {
    /// What was measured, with its unit.
    pub name: String,
    /// For each contender the samples of its rounds.
    pub samples: Vec<Vec<f64>>,
    /// What Portcullis should reach.
    pub target: Target,
}

/// Rows with the same contenders.
pub struct Table {
    title: String,
    contenders: Vec<&'static str>,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table. Portcullis is the first contender, PgBouncer the second.
    pub fn new(title: String, contenders: &[crate::contender::Kind]) -> Self {
        Self {
            title,
            contenders: contenders.iter().map(|kind| kind.name()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a sample of one contender to the row of this name.
    pub fn add(&mut self, contender: usize, name: &str, target: Target, sample: f64) {
        let known = self.rows.iter().position(|row| row.name == name);
        let index = known.unwrap_or_else(|| {
            self.rows.push(Row {
                name: name.to_owned(),
                samples: vec![Vec::new(); self.contenders.len()],
                target,
            });
            self.rows.len() - 1
        });
        self.rows[index].samples[contender].push(sample);
    }

    fn print(&self) {
        println!("\n{}", self.title);
        print!("  {:<34}", "");
        for name in &self.contenders {
            print!("{name:>28}");
        }
        println!("{:>8}  target", "ratio");
        for row in &self.rows {
            print!("  {:<34}", row.name);
            for samples in &row.samples {
                print!("{:>28}", cell(samples));
            }
            println!("{:>8}  {}", number(row.ratio()), row.verdict());
        }
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let of = self.contenders.iter().zip(&row.samples);
            let samples: serde_json::Map<String, Value> = of
                .map(|(name, samples)| ((*name).to_owned(), json!(samples)))
                .collect();
            json!({ "name": row.name, "samples": samples, "ratio": row.ratio() })
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>() })
    }
}

impl Row {
    /// Median of the rounds' ratios: what disturbs a round disturbs both.
    fn ratio(&self) -> f64 {
        let ratio = median(&self.ratios());
        if ratio.is_finite() { ratio } else { f64::NAN }
    }

    fn ratios(&self) -> Vec<f64> {
        // A row of one contender has nothing to be compared with.
        let other = self.samples.get(1).map_or(&[][..], |it| &it[..]);
        let pairs = self.samples[0].iter().zip(other);
        pairs.map(|(own, other)| own / other).collect()
    }

    /// A target that some rounds met and others didn't is neither met nor missed.
    fn verdict(&self) -> String {
        let judge = |middle: f64, (low, _): (f64, f64), most: f64| match most {
            _ if middle <= most => "met",
            _ if low <= most => "within noise",
            _ => "MISSED",
        };
        match self.target {
            Target::None => String::new(),
            Target::Most(most) => {
                let own = &self.samples[0];
                let judged = judge(median(own), spread(own), most);
                format!("at most {}: {judged}", number(most))
            }
            Target::Share(share) => {
                let judged = judge(self.ratio(), spread(&self.ratios()), share);
                format!("ratio at most {share}: {judged}")
            }
        }
    }
}

fn cell(samples: &[f64]) -> String {
    let (low, high) = spread(samples);
    let middle = number(median(samples));
    match samples.len() {
        0 => "-".to_owned(),
        1 => middle,
        _ if middle == "-" => middle,
        _ => format!("{middle} ({}-{})", number(low), number(high)),
    }
}

/// Three digits that matter, thousands apart.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value.is_nan() => "-".to_owned(),
        _ if size >= 1000.0 => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                let left = digits.len() - place;
                if place > 0 && left % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All tables of a run.
pub struct Report {
    directory: PathBuf,
    machine: Value,
    tables: Vec<Value>,
    counts: Counts,
}

impl Report {
    /// An empty report; prints what it runs on.
    pub fn new(options: &Options) -> Self {
        let machine = json!({
            "date": said("date", &["--utc", "+%F %R"]),
            "processor": processor(),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "kernel": said("uname", &["-r"]),
            "openssl": said("openssl", &["version"]),
            "pgbouncer": said(&options.pgbouncer.display().to_string(), &["--version"]),
            "workers": options.workers,
        });
        for (name, value) in machine.as_object().into_iter().flatten() {
            println!(
                "{name}: {}",
                value.as_str().map_or(value.to_string(), str::to_owned)
            );
        }
        Self {
            directory: options.results.clone(),
            machine,
            tables: Vec::new(),
            counts: Counts::new(),
        }
    }

    /// Notes how many instructions Portcullis took for a unit of a scenario.
    pub fn count(&mut self, scenario: &str, instructions: f64) {
        self.counts.insert(scenario.to_owned(), instructions);
    }

    /// All that were noted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Prints a finished table and keeps it.
    pub fn add(&mut self, table: &Table) {
        table.print();
        self.tables.push(table.json());
    }

    /// Writes all samples to `results-DATE.json`.
    #[track_caller]
    pub fn write(&self, open_files: u64) {
        let date = said("date", &["--utc", "+%F"]);
        let path = self.directory.join(format!("results-{date}.json"));
        let mut machine = self.machine.clone();
        machine["open_files"] = json!(open_files);
        let all = json!({ "machine": machine, "tables": self.tables });
        let text = serde_json::to_string_pretty(&all).expect("JSON of numbers and names");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("\nSamples: {}", path.display());
    }
}

/// First line that a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map_or_else(|_| Vec::new(), |output| output.stdout);
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|line| line.trim_start_matches([':', ' ', '\t']));
    model.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        for (value, wanted) in [
            (0.123, "0.12"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(number(value), wanted);
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let row = |target| Row {
            name: String::new(),
            samples: vec![vec![1.0, 6.0, 9.0], vec![2.0, 2.0, 10.0]],
            target,
        };
        assert_eq!(row(Target::None).ratio(), 0.9);
        assert_eq!(row(Target::Share(0.9)).verdict(), "ratio at most 0.9: met");
        assert_eq!(
            row(Target::Share(0.6)).verdict(),
            "ratio at most 0.6: within noise"
        );
        assert_eq!(
            row(Target::Share(0.4)).verdict(),
            "ratio at most 0.4: MISSED"
        );
        assert_eq!(
            row(Target::Most(5.0)).verdict(),
            "at most 5.00: within noise"
        );
        assert_eq!(row(Target::Most(0.5)).verdict(), "at most 0.50: MISSED");
    }
}
