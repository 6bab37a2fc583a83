"""State-vector simulation of circuits in normal form, with adjoint gradients, in numba.

Gradients are by adjoint differentiation (Jones and Gacon, arXiv 2009.02823). With ψ the final state and
λ = Σ_q ∂E/∂⟨Z_q⟩ Z_q ψ, both are taken backwards through the inverse gates, and on the way the gradient of each angle
is ∂E/∂θ = 2 Re⟨λ|∂U/∂θ U⁻¹|ψ⟩. No intermediate state is stored.

`forward` and `backward` are numba functions, to be called from others; `expectations` is for numpy. All arrays of one
call are float32, or all float64.
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
"""How many amplitudes `expectations` holds at a time: up to ten qubits both of its buffers stay in a level 2 cache of 1 MiB."""
WHOLE = 64
"""`expectations` simulates a multiple of so many samples: what whole vectors leave over may be rounded otherwise."""

ANGLE, AMPLITUDE, BASIS, IQP = range(4)
"""The kernels of embeddings, as `circuits.blocks` numbers them: what it says is not part of the machine code's name."""


class Workspace(NamedTuple):
    """What `forward` leaves for `backward`, and scratch memory."""

    buffers: Array
    """(3, 2·N·B) states."""
    embedding: Array
    """(2, n, B) cosines and sines of the angle embedding; [0, 0] the inverse norms of amplitudes; [0] inputs of IQP."""
    phases: Array
    """(S, 2, N) `Program.phases` with the angles of the RZ layers."""
    uploaded: Array
    """(n, B) gradients of data that come again; of no size where none do."""
    per_amplitude: Array
    """(2, N, 1) scratch."""


def make_workspace(program: Program, batch: int, dtype: DTypeLike) -> Workspace:
    """Memory for any number of calls of `forward` and `backward` on up to `batch` samples."""
    steps, rows = program.sources.shape
    if program.embedding == BASIS:
        batch = max(batch, WHOLE)  # for patterns that no sample has, which are run in whole vectors
    again = batch if (program.rows == DATA).any() else 0
    return Workspace(
        buffers=np.empty((3, 2 * rows * batch), dtype),
        embedding=np.empty((2, program.n_qubits, batch), dtype),
        phases=np.empty((steps, 2, rows), dtype),
        uploaded=np.empty((program.n_qubits, again), dtype),
        per_amplitude=np.empty((2, rows, 1), dtype),
    )


def expectations(inputs: Array, weights: Array, circuit: Circuit, layers: tuple[Layer, ...] | None = None) -> Array:
    """⟨Z⟩ of every wire, without gradients: inputs (B, n), weights (L, W), result (B, n) of the inputs' type.

    Those of a sample do not depend on the others.

    Args:
        layers: to be applied instead of all of the circuit's own, as `compile_circuit` takes them.
    """
    program = compile_circuit(circuit, layers)
    weights = np.ascontiguousarray(weights, inputs.dtype)
    result = np.empty_like(inputs)
    chunk = min(-(-len(inputs) // WHOLE) * WHOLE, max(CHUNK_AMPLITUDES >> circuit.n_qubits, WHOLE))
    workspace = make_workspace(program, chunk, inputs.dtype)
    wires_first = np.empty((circuit.n_qubits, chunk), inputs.dtype)
    measured = np.empty_like(wires_first)
    for start in range(0, len(inputs), max(chunk, 1)):
        part = inputs[start : start + chunk]
        wires_first[:, : len(part)] = part.T
        wires_first[:, len(part) :] = part[-1][:, np.newaxis]
        forward(wires_first, weights, program, workspace, measured, start > 0)
        result[start : start + chunk] = measured.T[: len(part)]
    return result


@kernel
def forward(inputs: Array, weights: Array, program: Program, workspace: Workspace, measured: Array, again: bool) -> None:
    """Run a circuit. C-contiguous: inputs (n, B) and weights (L, W) are read, measured (n, B) is written.

    Args:
        again: the weights are those of the call before, with the same workspace, which spares their sines and cosines.
    """
    batch = inputs.shape[1]
    if batch == 0:
        return
    state, spare = workspace.buffers[0], workspace.buffers[1]
    of_bits = program.embedding == BASIS
    if program.embedding == ANGLE or (of_bits and program.joined):
        embed_angles(inputs, weights[0], program.joined, of_bits, state, workspace.embedding)
    elif program.embedding == AMPLITUDE:
        embed_amplitudes(inputs, state, workspace.embedding)
    elif of_bits:
        embed_bits(inputs, state)
    else:
        embed_phases(inputs, state, workspace.embedding, spare)
    for step in program.rotated:
        planes, new_planes = program.planes[step], program.planes[step + 1]
        if program.moves[step]:
            sources, phases = program.sources[step], workspace.phases[step]
            if not again:
                _set_phases(step, weights, program, workspace.per_amplitude[0], phases)
            apply_monomial(state, spare, sources, phases, batch, planes, new_planes)
            state, spare = spare, state
        if program.rows[step] == DATA:
            upload(state, new_planes, workspace.embedding, batch, program.order)
        else:
            rotate(state, new_planes * batch, weights[program.rows[step]][: program.n_qubits], program.order)
    measure(state, program.readout, batch, program.planes[-1], spare, measured)


@jit
def _set_phases(step: int, weights: Array, program: Program, scratch: Array, phases: Array) -> None:
    """Those of the monomial before a step, with the angles that are in it."""
    # Not as one assignment: numba would compile what it says of shapes that differ, which takes seconds.
    for plane in range(2):
        for k in range(program.order.size):
            phases[plane, k] = program.phases[step, plane, k]
    for rz_step in range(program.begin[step], step):
        angles = weights[program.rows[rz_step]][: program.n_qubits]
        rz_phases(angles, program.sources[rz_step], scratch, phases)
    for zz_step in range(max(program.begin[step] - 1, 0), step):
        if program.turned[zz_step]:
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
    """The gradients after `forward`, whose state in the workspace is used up.

    C-contiguous: grad_measured (n, B) is read, grad_inputs (n, B) and grad_weights (L, W) are written.
    """
    batch = grad_measured.shape[1]
    grad_weights[:] = 0
    if batch == 0:
        return
    last = program.moves.sum() % 2
    state, spare, adjoint = workspace.buffers[last], workspace.buffers[1 - last], workspace.buffers[2]
    adjoint_of_measure(state, program.readout, batch, program.planes[-1], spare, grad_measured, adjoint)
    gradients, scratch = workspace.per_amplitude[0], workspace.per_amplitude[1]
    uploaded = workspace.uploaded
    uploaded[:] = 0
    for step in program.rotated[::-1]:
        planes, new_planes, row = program.planes[step], program.planes[step + 1], program.rows[step]
        if row == DATA:
            undo_upload(state, adjoint, new_planes, workspace.embedding, batch, program.order, uploaded)
        else:
            angles = weights[row][: program.n_qubits]
            undo_rotate(state, adjoint, new_planes * batch, angles, program.order, grad_weights[row])
        if program.moves[step]:
            if program.weighted[step]:
                phase_gradients(state, adjoint, batch, gradients)
            for rz_step in range(program.begin[step], step):
                grad_angles = grad_weights[program.rows[rz_step]][: program.n_qubits]
                adjoint_of_rz_phases(gradients, program.sources[rz_step], scratch, grad_angles)
            for zz_step in range(max(program.begin[step] - 1, 0), step):
                if program.turned[zz_step]:
                    grad_angles = grad_weights[program.rows[zz_step]][program.n_qubits :]
                    adjoint_of_zz_phases(gradients, program.pairs, grad_angles)
            sources, phases = program.sources[step], workspace.phases[step]
            undo_monomial(state, spare, sources, phases, batch, planes, new_planes)
            undo_monomial(adjoint, state, sources, phases, batch, planes, new_planes)
            state, adjoint, spare = spare, state, adjoint
    if program.embedding == ANGLE or (program.embedding == BASIS and program.joined):
        adjoint_of_embed_angles(state, adjoint, program.joined, workspace.embedding, grad_inputs, grad_weights[0])
        if uploaded.size:
            for wire in range(program.n_qubits):
                for b in range(batch):
                    grad_inputs[wire, b] += uploaded[wire, b]
    elif program.embedding == AMPLITUDE:
        adjoint_of_embed_amplitudes(state, adjoint, workspace.embedding, grad_inputs)
    elif program.embedding == IQP:
        adjoint_of_embed_phases(state, adjoint, workspace.embedding, spare, grad_inputs)
    if program.embedding == BASIS:
        # Bits have no derivative.
        grad_inputs[:] = 0
