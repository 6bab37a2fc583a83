"""State-vector simulation of circuits in normal form, with adjoint gradients, in numba.

Gradients are computed by adjoint differentiation (Jones and Gacon, arXiv 2009.02823). Let ψ be the final state and
λ = Σ_q ∂E/∂⟨Z_q⟩ Z_q ψ. The inverse gates are applied to both in reverse order, and before each of them the gradient of the
gate's angle is ∂E/∂θ = 2 Re⟨λ|∂U/∂θ U⁻¹|ψ⟩. No intermediate state is stored.

`forward` and `backward` are numba functions for other numba functions and for Python; `expectations` is for numpy arrays of any
number of samples. All arrays of one call are float32, or all are float64.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.engine.embeddings import (
    adjoint_of_embed_amplitudes,
    adjoint_of_embed_angles,
    adjoint_of_embed_phases,
    embed_amplitudes,
    embed_angles,
    embed_bits,
    embed_phases,
    undo_upload,
    upload,
)
from faqnas_optuna.engine.gate_kernels import (
    Array,
    adjoint_of_measure,
    adjoint_of_rz_phases,
    adjoint_of_zz_phases,
    apply_monomial,
    measure,
    phase_gradients,
    rotate,
    rz_phases,
    undo_monomial,
    undo_rotate,
    zz_phases,
)
from faqnas_optuna.engine.kernel_cache import jit, kernel
from faqnas_optuna.engine.normal_form import DATA, Program, compile_circuit

CHUNK_AMPLITUDES = 2**16
"""Maximum number of amplitudes that `expectations` holds at a time.

Up to ten qubits, both of its buffers fit into a level 2 cache of 1 MiB.
"""
BATCH_MULTIPLE = 64
"""Divisor of the number of samples that `expectations` simulates at a time.

The compiler handles samples beyond whole vectors in a separate loop, which may round differently. Padding to a multiple keeps
the result of a sample independent of the number of samples.
"""

# The numbers are literals here, rather than read from `circuits.blocks`, because the digest that names the machine code does
# not cover that file.
ANGLE, AMPLITUDE, BASIS, IQP = range(4)
"""Numbers of the embeddings, equal to `EmbeddingBlock.kernel`."""


class Workspace(NamedTuple):
    """Values that `forward` leaves for `backward`, and scratch memory."""

    buffers: Array
    """(3, 2·N·B) states."""
    embedding: Array
    """(2, n, B) cosines and sines of angle embedding; [0, 0] inverse norms of amplitude embedding; [0] inputs of IQP."""
    phases: Array
    """(S, 2, N) `Program.phases` including the angles of RZ and ZZ."""
    grad_uploads: Array
    """(n, B) gradients of re-uploaded data; (n, 0) without re-uploading."""
    per_amplitude: Array
    """(2, N, 1) scratch."""


def make_workspace(program: Program, batch: int, dtype: DTypeLike) -> Workspace:
    """Allocate memory for any number of calls of `forward` and `backward` with up to `batch` samples."""
    steps, rows = program.sources.shape
    # Bit patterns that belong to no sample are simulated in whole vectors, whatever the batch.
    if program.embedding == BASIS:
        batch = max(batch, BATCH_MULTIPLE)
    upload_batch = batch if (program.rows == DATA).any() else 0
    return Workspace(
        buffers=np.empty((3, 2 * rows * batch), dtype),
        embedding=np.empty((2, program.n_qubits, batch), dtype),
        phases=np.empty((steps, 2, rows), dtype),
        grad_uploads=np.empty((program.n_qubits, upload_batch), dtype),
        per_amplitude=np.empty((2, rows, 1), dtype),
    )


def expectations(inputs: Array, weights: Array, circuit: Circuit, layers: tuple[Layer, ...] | None = None) -> Array:
    """Return ⟨Z⟩ of every wire, (B, n), in the type of the inputs. The values of a sample do not depend on other samples.

    Args:
        inputs: (B, n).
        weights: (L, W).
        layers: Layers that are applied (see `compile_circuit`); None for the whole circuit.
    """
    program = compile_circuit(circuit, layers)
    # The kernels are compiled for contiguous arrays of one type.
    weights = np.ascontiguousarray(weights, inputs.dtype)
    result = np.empty_like(inputs)
    chunk = chunk_size(len(inputs), circuit.n_qubits)
    workspace = make_workspace(program, chunk, inputs.dtype)
    wires_first = np.empty((circuit.n_qubits, chunk), inputs.dtype)
    measured = np.empty_like(wires_first)
    for start in range(0, len(inputs), max(chunk, 1)):
        fill_wires(wires_first, inputs[start : start + chunk])
        # From the second chunk on, the phases of the weights are in the workspace.
        forward(wires_first, weights, program, workspace, measured, start > 0)
        result[start : start + chunk] = measured.T[: len(inputs) - start]
    return result


def chunk_size(n_samples: int, n_qubits: int) -> int:
    """Return the number of samples that `expectations` simulates at a time, a multiple of `BATCH_MULTIPLE`."""
    n_padded = -(-n_samples // BATCH_MULTIPLE) * BATCH_MULTIPLE
    return min(n_padded, max(CHUNK_AMPLITUDES >> n_qubits, BATCH_MULTIPLE))


def fill_wires(wires_first: Array, part: Array) -> None:
    """Write samples (…, samples, n) into an array (…, n, chunk)."""
    n_samples = part.shape[-2]
    wires_first[..., :n_samples] = part.swapaxes(-1, -2)
    # Copies of the last sample as padding: any valid values do.
    wires_first[..., n_samples:] = part[..., -1, :, np.newaxis]


@kernel
def forward(inputs: Array, weights: Array, program: Program, workspace: Workspace, measured: Array, again: bool) -> None:
    """Run a circuit and write ⟨Z⟩ of every wire. All arrays are C-contiguous.

    Args:
        inputs: (n, B).
        weights: (L, W).
        measured: (n, B), overwritten.
        again: The weights and the workspace are those of the previous call, so that the phases need not be computed again.
    """
    batch = inputs.shape[1]
    if batch == 0:
        return
    state = workspace.buffers[0]
    spare = workspace.buffers[1]
    _embed(inputs, weights, program, workspace.embedding, state, spare)
    for step in program.rotating_steps:
        planes = program.planes[step]
        new_planes = program.planes[step + 1]
        if program.has_monomial[step]:
            sources = program.sources[step]
            phases = workspace.phases[step]
            if not again:
                _set_phases(step, weights, program, workspace.per_amplitude[0], phases)
            # A permutation cannot be applied in place.
            apply_monomial(state, spare, sources, phases, batch, planes, new_planes)
            state, spare = spare, state
        if program.rows[step] == DATA:
            upload(state, new_planes, workspace.embedding, batch, program.order)
        else:
            rotate(state, new_planes * batch, weights[program.rows[step]][: program.n_qubits], program.order)
    measure(state, program.readout, batch, program.planes[-1], spare, measured)


@jit
def _embed(inputs: Array, weights: Array, program: Program, embedding: Array, state: Array, scratch: Array) -> None:
    """Write the state after the embedding, and after layer 0 if that is joined to it."""
    of_bits = program.embedding == BASIS
    if program.embedding == ANGLE or (of_bits and program.joined):
        embed_angles(inputs, weights[0], program.joined, of_bits, state, embedding)
    elif program.embedding == AMPLITUDE:
        embed_amplitudes(inputs, state, embedding)
    elif of_bits:
        embed_bits(inputs, state)
    else:
        embed_phases(inputs, state, embedding, scratch)


@jit
def _set_phases(step: int, weights: Array, program: Program, scratch: Array, phases: Array) -> None:
    """Write the phases of the monomial before a step, including the angles of its RZ and ZZ layers."""
    # For an array assignment numba would also compile the error message about different shapes, which takes seconds.
    for plane in range(2):
        for k in range(program.order.size):
            phases[plane, k] = program.phases[step, plane, k]
    for rz_step in range(program.begin[step], step):
        angles = weights[program.rows[rz_step]][: program.n_qubits]
        rz_phases(angles, program.sources[rz_step], scratch, phases)
    # The entanglers of the last rotating step follow its rotations and therefore belong to this monomial.
    for zz_step in range(max(program.begin[step] - 1, 0), step):
        if program.has_pair_angles[zz_step]:
            angles = weights[program.rows[zz_step]][program.n_qubits :]
            zz_phases(angles, program.pairs, program.order, scratch, phases)


@kernel
def backward(
    weights: Array,
    program: Program,
    workspace: Workspace,
    grad_measured: Array,
    grad_inputs: Array,
    grad_weights: Array,
) -> None:
    """Compute the gradients after `forward`. Overwrites the state in the workspace. All arrays are C-contiguous.

    Args:
        weights: (L, W), those of `forward`.
        grad_measured: (n, B).
        grad_inputs: (n, B), overwritten.
        grad_weights: (L, W), overwritten.
    """
    batch = grad_measured.shape[1]
    grad_weights[:] = 0
    if batch == 0:
        return
    # `forward` exchanges its two buffers at every monomial.
    last = program.has_monomial.sum() % 2
    state = workspace.buffers[last]
    spare = workspace.buffers[1 - last]
    adjoint = workspace.buffers[2]
    adjoint_of_measure(state, program.readout, batch, program.planes[-1], spare, grad_measured, adjoint)
    gradients = workspace.per_amplitude[0]
    scratch = workspace.per_amplitude[1]
    grad_uploads = workspace.grad_uploads
    grad_uploads[:] = 0
    for step in program.rotating_steps[::-1]:
        planes = program.planes[step]
        new_planes = program.planes[step + 1]
        row = program.rows[step]
        if row == DATA:
            undo_upload(state, adjoint, new_planes, workspace.embedding, batch, program.order, grad_uploads)
        else:
            angles = weights[row][: program.n_qubits]
            undo_rotate(state, adjoint, new_planes * batch, angles, program.order, grad_weights[row])
        if program.has_monomial[step]:
            # The gradients of all angles in the monomial follow from one pass over ψ and λ.
            if program.has_angles[step]:
                phase_gradients(state, adjoint, batch, gradients)
                _adjoint_of_set_phases(step, program, gradients, scratch, grad_weights)
            sources = program.sources[step]
            phases = workspace.phases[step]
            # λ goes to the buffer that ψ leaves, so that three buffers are enough.
            undo_monomial(state, spare, sources, phases, batch, planes, new_planes)
            undo_monomial(adjoint, state, sources, phases, batch, planes, new_planes)
            state, adjoint, spare = spare, state, adjoint
    _adjoint_of_embed(state, adjoint, program, workspace, spare, grad_inputs, grad_weights)


@jit
def _adjoint_of_set_phases(step: int, program: Program, gradients: Array, scratch: Array, grad_weights: Array) -> None:
    """Write the gradients of the angles in the monomial before a step."""
    for rz_step in range(program.begin[step], step):
        grad_angles = grad_weights[program.rows[rz_step]][: program.n_qubits]
        adjoint_of_rz_phases(gradients, program.sources[rz_step], scratch, grad_angles)
    for zz_step in range(max(program.begin[step] - 1, 0), step):
        if program.has_pair_angles[zz_step]:
            grad_angles = grad_weights[program.rows[zz_step]][program.n_qubits :]
            adjoint_of_zz_phases(gradients, program.pairs, grad_angles)


@jit
def _adjoint_of_embed(
    state: Array,
    adjoint: Array,
    program: Program,
    workspace: Workspace,
    scratch: Array,
    grad_inputs: Array,
    grad_weights: Array,
) -> None:
    """Write the gradients of the inputs, and of layer 0 if that is joined to the embedding."""
    if program.embedding == ANGLE or (program.embedding == BASIS and program.joined):
        adjoint_of_embed_angles(state, adjoint, program.joined, workspace.embedding, grad_inputs, grad_weights[0])
        if workspace.grad_uploads.size:
            for wire in range(grad_inputs.shape[0]):
                for b in range(grad_inputs.shape[1]):
                    grad_inputs[wire, b] += workspace.grad_uploads[wire, b]
    elif program.embedding == AMPLITUDE:
        adjoint_of_embed_amplitudes(state, adjoint, workspace.embedding, grad_inputs)
    elif program.embedding == IQP:
        adjoint_of_embed_phases(state, adjoint, workspace.embedding, scratch, grad_inputs)
    if program.embedding == BASIS:
        # Bits have no derivative. The training uses the substitute of `basis_patterns.straight_through`.
        grad_inputs[:] = 0
