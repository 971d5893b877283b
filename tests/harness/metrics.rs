//! Metrics as Prometheus reads them.

/// One reading of all metrics.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Parses the text format.
    ///
    /// # Panics
    ///
    /// Where a line is none of it.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        Self(lines.map(sample).collect())
    }

    /// The sum of a metric's samples that carry these labels, among others; zero where
    /// there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // An empty sum of floats is -0.0.
        self.samples(name, labels).fold(0.0, |sum, sample| sum + sample.value)
    }

    /// Whether there is a sample of this name with these labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.samples(name, labels).next().is_some()
    }

    /// The values a label takes among a metric's samples.
    pub fn labels(&self, name: &str, label: &str) -> Vec<&str> {
        let samples = self.0.iter().filter(|sample| sample.name == name);
        let labels = samples.flat_map(|sample| &sample.labels);
        labels.filter(|(found, _)| found == label).map(|(_, value)| value.as_str()).collect()
    }

    fn samples<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let carries = |sample: &Sample, name: &str, value: &str| {
            sample.labels.iter().any(|(n, v)| n == name && v == value)
        };
        self.0.iter().filter(move |sample| {
            sample.name == name && labels.iter().all(|(n, v)| carries(sample, n, v))
        })
    }
}

fn sample(line: &str) -> Sample {
    let broken = || -> ! { panic!("`{line}` is no metric") };
    let (name, rest) = match line.find(['{', ' ']) {
        Some(end) => line.split_at(end),
        None => broken(),
    };
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest).unwrap_or_else(|| broken()),
        None => (Vec::new(), rest),
    };
    let value = value.split_whitespace().next().unwrap_or_default();
    let value = value.parse().unwrap_or_else(|_| broken());
    Sample { name: name.to_owned(), labels, value }
}

/// The labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_their_labels() {
        let text =
            "# HELP a b\na_total{x=\"1\",y=\"G \\\"}\"} 2\na_total{x=\"2\"} 3\nb 4.5\n# EOF\n";
        let metrics = Metrics::parse(text);

        assert_eq!(metrics.sum("a_total", &[]), 5.0);
        assert_eq!(metrics.sum("a_total", &[("y", "G \"}")]), 2.0);
        assert_eq!(metrics.sum("b", &[]), 4.5);
        assert!(!metrics.has("a_total", &[("x", "3")]));
        assert_eq!(metrics.labels("a_total", "x"), ["1", "2"]);
    }
}
