//! Activations that are made again for a late product, and weights that are updated as soon as their gradients are there.

use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::Kernel;
use chainrule_engine::compile::lower::Place;
use chainrule_engine::compile::pipeline::{Compilation, compile};
use chainrule_engine::{DType, Options, Rng, Runtime, Tensor};

const LAYERS: usize = 6;

/// A network of layers that are all 512 wide, and the gradients of its weights.
struct Network {
    weights: Vec<Tensor>,
    gradients: Vec<Tensor>,
}

fn network(rows: usize, activation: fn(&Tensor) -> Tensor) -> Network {
    let mut rng = Rng::new(1);
    let weights: Vec<Tensor> = (0..LAYERS).map(|_| (Tensor::randn([512, 512], &mut rng) * 0.05).to_leaf().unwrap()).collect();
    let x = Tensor::randn([rows, 512], &mut rng).to_leaf().unwrap();
    let y = weights.iter().fold(x, |x, w| activation(&x.matmul(w)));
    let gradients = y.square().mean().grad(&weights.iter().collect::<Vec<_>>()).unwrap();
    Network { weights, gradients }
}

/// Rows of length one, nearly.
fn normed(x: &Tensor) -> Tensor {
    x * (1.0 / ((x.square().sum_over(&[-1]) / 512.0).unsqueeze(-1) + 1e-5).sqrt())
}

fn compiled(roots: &[&Tensor], options: Options) -> Compilation {
    let graph = Graph::of(roots).0;
    let none = vec![None; graph.roots.len()];
    compile(graph, &none, options, |_, _, _| ())
}

/// Copies behind barriers, and bytes of intermediate values.
fn copies(network: &Network, recompute: bool) -> (usize, usize) {
    let compilation = compiled(&network.gradients.iter().collect::<Vec<_>>(), Options { recompute, ..Options::default() });
    (compilation.graph.print().matches("barrier").count(), compilation.schedule.arena_bytes)
}

#[test]
fn large_activations_are_not_kept_for_the_gradients_of_weights() {
    for activation in [Tensor::silu, Tensor::gelu_tanh, normed] {
        let large = network(1024, activation);
        let ((kept, all), (made, less)) = (copies(&large, false), copies(&large, true));
        // All but the first layer's input, which is no activation, and the last ones, which are read soon.
        assert_eq!((kept, made), (0, 3));
        let bytes = 1024 * 512 * 4;
        assert!(less + 3 * bytes <= all, "{less} bytes instead of {all}");
    }
    // What is small is read from the cache; and of a rectifier a mask is kept, not what it is made from.
    assert_eq!(copies(&network(512, Tensor::silu), true).0, 0);
    assert_eq!(copies(&network(1024, Tensor::relu), true).0, 0);
}

#[test]
fn gradients_have_the_bits_of_what_was_kept() {
    let values = |recompute: bool| -> Vec<Vec<f32>> {
        let network = network(1024, normed);
        let runtime = Runtime::shared().with_options(Options { recompute, ..Options::default() });
        Tensor::eval_all_on(&runtime, &network.gradients.iter().collect::<Vec<_>>()).unwrap();
        network.gradients.iter().map(|gradient| gradient.to_vec().unwrap()).collect()
    };
    assert!(values(true) == values(false));
}

/// Although updates are recorded after all gradients, and need a scalar that is, too.
#[test]
fn a_weight_is_updated_when_its_gradient_is_there() {
    let Network { weights, gradients } = network(32, Tensor::silu);
    let rate = Tensor::placeholder([].as_slice(), DType::F32).exp();
    let new: Vec<Tensor> = weights.iter().zip(&gradients).map(|(w, gradient)| w - gradient * &rate).collect();
    let compilation = compiled(&new.iter().collect::<Vec<_>>(), Options::default());
    let kernels = &compilation.kernels;
    let writes = |kernel: &Kernel, root: usize| {
        let Kernel::Contract(contract) = kernel else { return false };
        let stores = contract.epilogue.iter().flat_map(|region| &region.stores);
        stores.into_iter().any(|store| kernels.buffers[store.buffer as usize].place == Place::Root(root as u32))
    };
    let at: Vec<usize> = (0..LAYERS).map(|root| kernels.kernels.iter().position(|kernel| writes(kernel, root)).unwrap()).collect();
    assert!(at.is_sorted_by(|one, next| one > next), "{at:?}");
    // Between two updates there is the product that the next one waits for.
    assert!(at[0] - at[LAYERS - 1] >= 2 * (LAYERS - 1), "{at:?}");
}
