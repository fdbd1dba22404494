use bezoar_core::{ClassRef, Error, Result};
use bezoar_nn::AtPlace;
use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What of the scores is explained: the relevance that each starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The score of the class that the data set gives the image: it starts with 1, all others with 0.
    #[default]
    Label,
    /// The highest score.
    Predicted,
    /// The score of this class, by its name or its index.
    Class(ClassRef),
    /// The score of the image's class, which starts with its own value: heatmaps add up to the score. Of a negative score, what
    /// speaks for the class is negative.
    Logit,
    /// The image's class, with 1, against the best of the others, with -1.
    RunnerUp,
    /// The image's class, with 1, against this one, with -1; images of this class are explained as by `runner-up`.
    Against(ClassRef),
    /// How the probability of the image's class changes with each score: `p_t (δ_ct - p_c)` for class `c` and label `t` (SGLRP,
    /// arXiv 1908.04351).
    SoftmaxGradient,
}

/// A target whose classes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Label,
    Predicted,
    Class(usize),
    Logit,
    RunnerUp,
    Against(usize),
    SoftmaxGradient,
}

impl Target {
    /// The target for a data set of these classes.
    ///
    /// # Errors
    /// When there is no such class: names the nearest one.
    pub fn resolve(&self, classes: &[String]) -> Result<Start> {
        let class = |class: &ClassRef| Ok::<_, Error>(class.resolve(classes)? as usize);
        let kind = match self {
            Self::Label => Kind::Label,
            Self::Predicted => Kind::Predicted,
            Self::Class(of) => Kind::Class(class(of)?),
            Self::Logit => Kind::Logit,
            Self::RunnerUp => Kind::RunnerUp,
            Self::Against(other) => Kind::Against(class(other)?),
            Self::SoftmaxGradient => Kind::SoftmaxGradient,
        };
        Ok(Start(kind))
    }
}

impl Start {
    /// The relevance `[N, classes]` that the scores of images with these labels start with.
    ///
    /// # Errors
    /// When the net has no such class, or but one where another is asked for.
    pub fn relevance(self, scores: &Tensor, labels: &[u32]) -> Result<Tensor> {
        let rows: Vec<Vec<f64>> = scores.to_dtype(DType::F64).and_then(|scores| scores.to_vec2()).at("scores")?;
        let mut start = Vec::with_capacity(scores.elem_count());
        for (scores, &label) in rows.iter().zip(labels) {
            start.extend(self.0.row(scores, label as usize)?);
        }
        Tensor::from_vec(start, scores.dims(), scores.device()).and_then(|start| start.to_dtype(scores.dtype())).at("target")
    }
}

impl Kind {
    fn row(self, scores: &[f64], label: usize) -> Result<Vec<f64>> {
        let mut start = vec![0.0; scores.len()];
        let known = |class: usize| {
            let count = scores.len();
            if class < count {
                Ok(class)
            } else {
                Err(Error::request(format!("an image of class {class} where the net has {count} classes")))
            }
        };
        let rival = || best(scores, Some(label)).ok_or_else(|| Error::request("a net of one class has no class to compare with"));
        match self {
            Self::Label => start[known(label)?] = 1.0,
            Self::Predicted => start[best(scores, None).unwrap_or_default()] = 1.0,
            Self::Class(class) => start[known(class)?] = 1.0,
            Self::Logit => start[known(label)?] = scores[label],
            Self::Against(class) if class != label => (start[known(label)?], start[known(class)?]) = (1.0, -1.0),
            Self::RunnerUp | Self::Against(_) => (start[known(label)?], start[rival()?]) = (1.0, -1.0),
            Self::SoftmaxGradient => {
                let own = known(label)?;
                let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
                let probability = |class: usize| (scores[class] - highest).exp() / total;
                for (class, start) in start.iter_mut().enumerate() {
                    *start = probability(own) * (f64::from(u8::from(class == own)) - probability(class));
                }
            }
        }
        Ok(start)
    }
}

/// The class of the highest score, the first of equals; `but` is left out.
fn best(scores: &[f64], but: Option<usize>) -> Option<usize> {
    (0..scores.len()).filter(|class| Some(*class) != but).reduce(|best, class| if scores[class] > scores[best] { class } else { best })
}
