//! Configured images: `configure` runs once, and the heap it leaves behind becomes
//! part of a component whose instances start configured.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};

use crate::code_cache::Digest;
use crate::engine::Engine;
use crate::instance::{Configured, Instance, Prepared};
use crate::load::Consent;
use crate::plugin_use::{LoadedUse, serve_from_image};
use crate::shared::UseShared;
use crate::state::{Moment, Spent, State};

/// An image to make.
pub(crate) struct Order {
    /// For which use; an order whose use is gone is dropped.
    pub(crate) loaded: Weak<LoadedUse>,
    /// The name of the image in the code cache.
    pub(crate) key: Digest,
    /// The component.
    pub(crate) bytes: Cow<'static, [u8]>,
    /// A use without grants, to configure with.
    pub(crate) bare: Arc<UseShared>,
    /// What randomness that is drawn meanwhile may be for.
    pub(crate) drawn: Drawn,
}

impl Drop for Order {
    /// However it ended, and where it was never begun: nobody waits for it any longer.
    fn drop(&mut self) {
        if let Some(loaded) = self.loaded.upgrade() {
            loaded.image_pending.store(false, Ordering::Release);
        }
    }
}

/// What a plugin may draw randomness for while it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// Anything; an image would repeat it.
    Anything,
    /// Seeds of hash tables. Those of an image are as unknown to clients as those of an
    /// instance that serves many of them.
    Harmless,
}

impl Drawn {
    /// What a component draws for: one that is part of the program is known.
    pub(crate) fn by(consent: Consent) -> Self {
        match consent {
            Consent::Written => Self::Anything,
            Consent::BySettings => Self::Harmless,
        }
    }
}

/// Why there is no image. Instances are then configured one by one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageProblem {
    /// The component's shape cannot be snapshotted.
    #[error("its shape cannot be snapshotted: {0}")]
    Shape(String),
    /// `configure` did not go the second time as it went the first.
    #[error("configuring it for the image did not succeed")]
    Configure,
    /// It drew randomness, which an image would repeat.
    #[error("it drew randomness while it was configured, and an image would repeat it")]
    Random,
    /// It kept a handle, which an image would not have.
    #[error("it kept a handle of the host while it was configured, and an image would not have it")]
    Handle,
    /// The engine refuses it.
    #[error("the engine refuses it: {0}")]
    Engine(wasmtime::Error),
}

impl From<wasmtime::Error> for ImageProblem {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

/// The name of an image in the code cache.
pub(crate) fn key(component: &Digest, settings: &str) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"image\0");
    hash.update(component);
    hash.update(settings.as_bytes());
    hash.finalize().into()
}

/// Makes images in a thread of their own, off every request's path.
pub(crate) fn make_in_background(engine: &Engine, orders: Vec<Order>) {
    if orders.is_empty() {
        return;
    }
    let engine = engine.clone();
    let make = move || {
        for order in orders {
            let Some(loaded) = order.loaded.upgrade() else { continue };
            let name = loaded.names.name.as_str();
            match make(&engine, &loaded, &order) {
                Ok(image) => {
                    serve_from_image(&loaded, &engine, &image);
                    tracing::info!(
                        use_ = name,
                        "fresh instances now start from a configured image"
                    );
                }
                Err(problem) => {
                    tracing::warn!(use_ = name, %problem, "no image; each instance is configured")
                }
            }
        }
    };
    if let Err(problem) = std::thread::Builder::new().name("images".into()).spawn(make) {
        tracing::warn!(%problem, "no images; each instance is configured");
    }
}

fn make(engine: &Engine, loaded: &LoadedUse, order: &Order) -> Result<Component, ImageProblem> {
    let inner = engine.inner();
    inner.code.component(&inner.serving, &order.key, || {
        snapshot(engine, &loaded.settings, (&order.bytes, &order.bare, order.drawn)).map(Cow::Owned)
    })
}

/// Runs `configure` in an instrumented copy and writes its heap into the component.
pub(crate) fn snapshot(
    engine: &Engine,
    settings: &str,
    (bytes, bare, drawn): (&[u8], &Arc<UseShared>, Drawn),
) -> Result<Vec<u8>, ImageProblem> {
    let wizer = Wizer::new();
    let (context, instrumented) = wizer
        .instrument_component(bytes)
        .map_err(|problem| ImageProblem::Shape(format!("{problem:#}")))?;
    let inner = engine.inner();
    let component = Component::new(&inner.imaging, &instrumented)?;
    let prepared =
        Prepared::link(&inner.imaging_linker, &component, Configured::PerInstance, inner.clock())?;
    crate::load::block_on(async {
        let mut store = State::store(&inner.imaging, bare);
        State::begin(&mut store, Moment::Loading, 0);
        let mut instance = Instance::start(&prepared, store).await?;
        State::begin(&mut instance.store, Moment::Loading, 0);
        instance.configure(settings).await?.map_err(|_| ImageProblem::Configure)?;
        if drawn == Drawn::Anything && instance.store.data().randomness() == Spent::Yes {
            return Err(ImageProblem::Random);
        }
        if instance.store.data().holds_handles() {
            return Err(ImageProblem::Handle);
        }
        State::begin(&mut instance.store, Moment::Snapshot, 0);
        let mut access =
            WasmtimeWizerComponent { store: &mut instance.store, instance: instance.raw };
        Ok(wizer.snapshot_component(&context, &mut access).await?)
    })
}
