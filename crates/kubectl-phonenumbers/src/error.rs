//! Why the plugin has no answer: one line each, which names the next step and holds nothing secret.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No kubeconfig, or one that leads nowhere.
    #[error("no cluster to ask: {0}. Choose one with --context or --kubeconfig")]
    NoCluster(String),
    /// The API server gave no usable answer.
    #[error("cannot read {what}: {why}")]
    Unanswered {
        /// What was asked for.
        what: String,
        /// What went wrong.
        why: String,
    },
    /// The user's own rights do not reach.
    #[error("you may not {right}: {said}. Ask for that right, or ask somebody who has it")]
    Forbidden {
        /// What has to be allowed.
        right: String,
        /// The API server's words.
        said: String,
    },
    /// Something that is referred to does not exist, or lacks something.
    #[error("{what}. {next}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do about it.
        next: String,
    },
    /// The provider gave no usable answer.
    #[error("{0}")]
    Provider(String),
    /// Manifests, or a file beside them, that cannot be read.
    #[error("{0}")]
    Manifest(String),
    /// A flag that cannot be obeyed.
    #[error("{0}")]
    Flag(String),
}

impl Error {
    /// An answer that has no form to be printed in.
    pub(super) fn unprintable(error: &dyn std::error::Error) -> Self {
        Self::Unanswered {
            what: "the answer in that form".to_owned(),
            why: error.to_string(),
        }
    }

    /// What an error of the API server means, where `right` is what the user must be allowed to do to read `what`.
    pub(super) fn of_cluster(error: &kube::Error, what: &str, right: &str) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden {
                right: right.to_owned(),
                said: status.message.trim_end_matches('.').to_owned(),
            },
            kube::Error::Api(status) if status.code == 401 => Self::NoCluster(
                "the API server does not accept the credentials of this context".to_owned(),
            ),
            kube::Error::Api(status) => Self::Unanswered {
                what: what.to_owned(),
                why: status.message.clone(),
            },
            error => Self::Unanswered {
                what: what.to_owned(),
                why: causes(error),
            },
        }
    }
}

/// The error and its causes, without saying anything twice.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl From<kube::config::InferConfigError> for Error {
    fn from(error: kube::config::InferConfigError) -> Self {
        Self::NoCluster(causes(&error))
    }
}

impl From<kube::config::KubeconfigError> for Error {
    fn from(error: kube::config::KubeconfigError) -> Self {
        Self::NoCluster(causes(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status {
            code,
            message: message.to_owned(),
            ..Status::default()
        }))
    }

    #[test]
    fn an_error_of_the_api_server_names_the_next_step() {
        let table = [
            (
                api(403, "secrets \"twilio\" is forbidden: no."),
                "you may not get Secrets: secrets \"twilio\" is forbidden: no. Ask for that right, or ask somebody who has it",
            ),
            (
                api(401, "Unauthorized"),
                "no cluster to ask: the API server does not accept the credentials of this context. Choose one with \
                 --context or --kubeconfig",
            ),
            (
                api(503, "the server is starting"),
                "cannot read Secret a/b: the server is starting",
            ),
        ];
        for (error, wanted) in table {
            let error = Error::of_cluster(&error, "Secret a/b", "get Secrets");
            assert_eq!(error.to_string(), wanted);
        }
    }
}
