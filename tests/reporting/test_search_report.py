from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.reporting.search_report import front_blocks
from tests.support.candidates import candidate, description_of, genome_of


def test_below_a_front_stands_what_is_cheaper_and_computes_the_same() -> None:
    genome = genome_of(6, "CZ", "RY", "RZ", embedding="amplitude")
    cheaper = profiler_flops(effective_circuit(genome.circuit))
    study = description_of(StudyConfig(dataset="iris"))
    _, remarks = front_blocks([candidate(7, genome, flops=profiler_flops(genome.circuit), error=0.1)], study)
    sentence = f"6 qubits, amplitude, RY, CZ linear computes the same as trial 7 for {cheaper:,} quantum FLOPs."
    assert isinstance(remarks, str) and remarks.endswith(sentence)
    _, *remarks_of_the_cheaper = front_blocks([candidate(7, genome, flops=cheaper, error=0.1)], study)
    assert not any("computes the same" in str(remark) for remark in remarks_of_the_cheaper)


def test_circuits_of_equal_functions_are_reported() -> None:
    study = description_of(StudyConfig(dataset="iris"))
    circular, linear = (genome_of(6, "CZ", "RY", "RZ", "RX", topology=topology) for topology in ("circular", "linear"))
    front = [candidate(3, linear, flops=100, error=0.2), candidate(5, circular, flops=120, error=0.1)]
    _, remarks = front_blocks(front, study)
    assert remarks == (
        "Gates in brackets do not affect any measurement."
        " Trial 3 is not entangled: together, its entanglers have no effect."
        " Trial 5 is not entangled: together, its entanglers have no effect."
        " 6 qubits, angle, RY RZ RX, CZ linear computes the same as trial 5."
        " Trials 3, 5 compute the same: only the random seed makes their scores differ."
    )
    shared = [candidate(3, linear, flops=100, error=0.2), candidate(5, circular, flops=100, error=0.2)]
    _, remarks = front_blocks(shared, study)
    assert str(remarks).endswith(" Trials 3, 5 compute the same.")
