"""What is inside the cell of each rung, in the notation of `notation.plan`. A new rung is one more entry of `PLANS`."""

from __future__ import annotations

from unrolled.look.diagram.notation import plan

GENERIC = plan(
    x="2.6,2.2",
    states="h 0,0.3 5.2,0.3",
    gates="step 2.6,0.3 step",
    wires="h0 step | input: x step | step h1",
    labels="input 2.8,1.3",
    equations=("hₜ = step(xₜ, hₜ₋₁)",),
    note="no diagram of this cell yet: its equations are in its file",
)

PLANS = {
    "three-char": plan(
        x="2.6,3.2",
        states="h 0,0.3 7.6,0.3",
        operations="add 2.6,0.3 + | tanh 6,0.3 tanh | relu 2.6,1.5 relu",
        wires="h0 add | input: x relu | relu add | memory: add tanh | tanh h1",
        labels="input 2.8,2.3 | memory 3.05,0.75",
        equations=(
            "u = relu(W_in xₜ + b_in)",
            "hₜ = tanh(W_h (hₜ₋₁ + u) + b_h)",
        ),
        note="the character is added to the hidden state, and W_h multiplies the sum",
    ),
    "concat": plan(
        x="1.9,2.2",
        states="h 0,0.3 8.8,0.3",
        operations="relu 4.9,0.3 relu | tanh 7.5,0.3 tanh",
        gates="join 1.9,0.3 [h; x]: side by side",
        wires="h0 join | x join | input: join relu | memory: relu tanh | tanh h1",
        labels="input 2.5,1 | memory 5.25,1",
        equations=(
            "r = relu(W_in [hₜ₋₁; xₜ] + b_in)",
            "hₜ = tanh(W_h r + b_h)",
        ),
        note="hidden state and character are concatenated before W_in",
    ),
    "rnn": plan(
        x="3.8,2.4",
        states="h 0,0.3 7,0.3",
        operations="add 3.8,0.3 + | f 5.4,0.3 ƒ",
        wires="memory: h0 add | input: x add | add f h1",
        labels="memory 0.55,0.75 | input 4,1.35",
        equations=("hₜ = ƒ(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)",),
        note="one matrix for the character, one for the hidden state",
    ),
    "gru": plan(
        x="0,5.2",
        states="h 0,0.3 9.5,0.3",
        operations="keep 2,0.3 × | sum 8,0.3 + | one 4.2,1.7 1 − | new 8,1.7 × | part 6.1,3 ×",
        gates="z 2,3 σ: keep z | r 4.2,3 σ: reset r | n 8,3 tanh: new n",
        from_x="n",
        from_both="z r",
        wires="memory: h0 0,4.2 6.1,4.2 part | h0 keep sum h1 | z keep | z @2,1.7 one new sum | r part n new",
        labels="memory 4.6,4.55 | input 8.2,5.1",
        equations=(
            "r = σ(W_ir xₜ + b_ir + W_hr hₜ₋₁ + b_hr)      z = σ(W_iz xₜ + b_iz + W_hz hₜ₋₁ + b_hz)",
            "n = tanh(W_in xₜ + b_in + r ⊙ (W_hn hₜ₋₁ + b_hn))      hₜ = (1 − z) ⊙ n + z ⊙ hₜ₋₁",
        ),
        note="z is the fraction kept; r is how much of the old state enters the candidate",
    ),
    "lstm": plan(
        x="0,5.2",
        states="c 0,0.3 10,0.3 | h 0,4.2 10,1.9",
        operations="drop 2,0.3 × | sum 5,0.3 + | new 5,1.8 × | tanh 8,1.05 tanh | show 8,1.9 ×",
        gates="f 2,3 σ: forget f | i 4,3 σ: input i | g 6,3 tanh: new g | o 8,3 σ: output o",
        from_both="f i g o",
        wires="c0 drop sum c1 | f drop | i 4,1.8 new | g 6,1.8 new sum | sum @8,0.3 tanh show h1 | o show",
        labels="memory 8.45,4.15 | input 8.45,5.1",
        equations=(
            "f = σ(W_if xₜ + W_hf hₜ₋₁ + b_f)      i = σ(W_ii xₜ + W_hi hₜ₋₁ + b_i)",
            "g = tanh(W_ig xₜ + W_hg hₜ₋₁ + b_g)      o = σ(W_io xₜ + W_ho hₜ₋₁ + b_o)",
            "cₜ = f ⊙ cₜ₋₁ + i ⊙ g      hₜ = o ⊙ tanh(cₜ)",
        ),
        note="no matrix multiplies c: what the forget gate passes is kept unchanged",
    ),
    "mingru": plan(
        x="0,4.2",
        states="h 0,0.3 8.3,0.3",
        operations="keep 2.4,0.3 × | one 2.4,1.2 1 − | sum 6.2,0.3 + | new 6.2,2 ×",
        gates="z 2.4,3 σ: gate z | c 6.2,3 g: new c",
        from_x="z c",
        wires="h0 keep sum h1 | z one keep | z @2.4,2 new | c new sum",
        labels="input 6.45,4.1",
        equations=(
            "z = σ(W_z xₜ + b_z)      c = g(W_c xₜ + b_c)      hₜ = (1 − z) ⊙ hₜ₋₁ + z ⊙ c",
            "g(v) = v + ½ for v ≥ 0, else σ(v)",
        ),
        note="the gates depend on the input only, so those of a whole text can be computed at once",
    ),
    "minlstm": plan(
        x="0,4.4",
        states="h 0,0.3 8.3,0.3",
        operations="keep 2.4,0.3 × | one 4.4,1.7 1 − | sum 6.4,0.3 + | new 6.4,1.7 ×",
        gates="share 2.4,1.7 f: its share | f 1.9,3.2 σ: forget | i 3,3.2 σ: input | c 6.4,3.2 g: new c",
        from_x="f i c",
        wires="h0 keep sum h1 | f 1.9,2.4 2.2,2.4 share | i 3,2.4 2.6,2.4 share keep | share one new sum | c new",
        labels="input 6.65,4.3",
        equations=(
            "f = σ(W_f xₜ + b_f) / (σ(W_f xₜ + b_f) + σ(W_i xₜ + b_i))      c = g(W_c xₜ + b_c)",
            "hₜ = f ⊙ hₜ₋₁ + (1 − f) ⊙ c      g(v) = v + ½ for v ≥ 0, else σ(v)",
        ),
        note="two gates share out one whole; both depend on the input only",
    ),
    "lru": plan(
        x="0,3.1",
        states="s 0,0.3 9.4,0.3 | h 9.6,1.7",
        operations="turn 2.4,0.3 × | sum 4.6,0.3 + | out 8.4,1.7 +",
        gates="lambda 2.4,1.7 λ: learned | in 4.6,1.7 × γ: new | read 7,1.7 Re C s: read",
        from_x="in out",
        wires="s0 turn sum s1 | lambda turn | in sum | s1 @7,0.3 read out h1",
        labels="input 4.8,2.5",
        equations=(
            "sₜ = λ ⊙ sₜ₋₁ + γ ⊙ (B xₜ)      hₜ = Re(C sₜ) + D xₜ",
            "λ = exp(−exp ν + i exp θ)      γ = √(1 − |λ|²)",
        ),
        note="s is complex: λ turns each number and shrinks it, whatever is read",
    ),
    "rg-lru": plan(
        x="0,5.1",
        states="h 0,0.3 8.4,0.3",
        operations="keep 2.2,0.3 × | scaled 6.2,1.6 × | sum 6.2,0.3 + | new 6.2,2.7 ×",
        gates=(
            "a 2.2,1.6 a: decay | root 4.2,1.6 scale: √(1 − a²) | r 2.2,3.9 σ: gate r | i 4.2,3.9 σ: input i | "
            "v 6.2,3.9 v: new"
        ),
        from_x="r i v",
        wires="h0 keep sum h1 | r a keep | a root scaled sum | i 4.2,2.7 new | v new scaled",
        labels="input 6.45,5",
        equations=(
            "r = σ(W_r xₜ + b_r)      i = σ(W_i xₜ + b_i)      v = W_v xₜ + b_v",
            "a = σ(Λ)^(8 r)      hₜ = a ⊙ hₜ₋₁ + √(1 − a²) ⊙ (i ⊙ v)",
        ),
        note="the root keeps h as large as v, however much is kept",
    ),
    "mamba": plan(
        x="0,4.6",
        states="S 0,0.3 9.8,0.3 | h 9.8,1.7",
        operations="keep 2.9,0.3 × | sum 5.1,0.3 + | out 8.7,1.7 +",
        gates=(
            "decay 2.9,1.7 exp Δ A: decay | write 5.1,1.7 Δ u Bᵀ: write | read 7.3,1.7 S C: read | "
            "delta 2.9,3.3 Δ: softplus | B 5.1,3.3 B | C 7.3,3.3 C | u 1.6,4.6 u"
        ),
        wires=(
            "S0 keep sum S1 | input: x u | u 2.9,4.6 delta | u 5.1,4.6 B | u 7.3,4.6 C | u 8.7,4.6 out | "
            "delta decay keep | delta @2.9,2.5 4.9,2.5 write | B write sum | S1 @7.3,0.3 read | C read out h1"
        ),
        labels="input 0.35,5.1",
        equations=(
            "u = W_ih xₜ      Δ = softplus(V U_Δ u + b)      B = U_B u      C = U_C u",
            "Sₜ = exp(Δ A) ⊙ Sₜ₋₁ + (Δ ⊙ u) Bᵀ      hₜ = Sₜ C + D ⊙ u",
        ),
        note="each unit has 16 numbers of state; the input decides how long, what is written and what is read",
    ),
    "linear-attention": plan(
        x="0,5.1",
        states="S 0,0.3 8.6,0.3 | z 0,1.5 8.6,1.5 | h 8.6,2.7",
        operations="sum 4.2,0.3 + | count 2.2,1.5 + | outer 4.2,2.7 kᵀ v",
        gates="k 2.2,3.9 φ: key k | v 4.2,3.9 v: value | q 6.4,3.9 φ: query q | read 6.4,2.7 q S / q z: read",
        from_x="k v q",
        wires=(
            "S0 sum S1 | z0 count z1 | k count | k @2.2,2.7 outer | v outer sum | S1 @6.2,0.3 6.2,1 read | "
            "z1 @6.6,1.5 6.6,2 read | q read h1"
        ),
        labels="input 6.65,5",
        equations=(
            "k = φ(W_k xₜ)      v = W_v xₜ      q = φ(W_q xₜ)      φ(a) = elu(a) + 1",
            "Sₜ = Sₜ₋₁ + kᵀ v      zₜ = zₜ₋₁ + k      hₜ = q Sₜ / (q zₜ)",
        ),
        note="S is a matrix: values are added under their keys, and nothing is forgotten",
    ),
    "deltanet": plan(
        x="0,5.1",
        states="S 0,0.3 9.8,0.3 | h 9.8,1.9",
        operations="minus 4,1.9 v − | times 5.4,1.9 × | write 6.8,1.9 kᵀ · | sum 6.8,0.3 +",
        gates=(
            "recall 2.6,1.9 k S: recall | read 8.2,1.9 q S: read, norm | k 2.6,3.9 k: key | v 4,3.9 v: value | "
            "beta 5.4,3.9 β: how much | q 8.2,3.9 q: query"
        ),
        from_x="k v beta q",
        wires=(
            "S0 sum S1 | S0 @2.6,0.3 recall | k recall minus times write sum | k @2.6,2.9 6.8,2.9 write | v minus | "
            "beta times | S1 @8.2,0.3 read | q read h1"
        ),
        labels="input 8.5,5",
        equations=(
            "q, k, v from W_ih xₜ, q and k of length 1      β = σ(W_β xₜ)",
            "Sₜ = Sₜ₋₁ + kᵀ β (v − k Sₜ₋₁)      hₜ = norm(q Sₜ)",
        ),
        note="what the key recalls is replaced by the new value, as far as β says",
    ),
    "gated-deltanet": plan(
        x="0,5.1",
        states="S 0,0.3 11,0.3 | h 11,1.9",
        operations=(
            "minus 4,1.9 v − | times 5.4,1.9 × | write 6.8,1.9 kᵀ · | sum 6.8,0.3 + | fade 1.2,0.3 × | show 9.6,1.9 ×"
        ),
        gates=(
            "recall 2.6,1.9 k S: recall | read 8.2,1.9 q S: read, norm | k 2.6,3.9 k: key | v 4,3.9 v: value | "
            "beta 5.4,3.9 β: how much | q 8.2,3.9 q: query | alpha 1.2,3.9 α: kept | g 9.6,3.9 SiLU: exit g"
        ),
        from_x="k v beta q alpha g",
        wires=(
            "S0 fade sum S1 | alpha fade | S0 @2.6,0.3 recall | k recall minus times write sum | "
            "k @2.6,2.9 6.8,2.9 write | v minus | beta times | S1 @8.2,0.3 read | q read show h1 | g show"
        ),
        labels="input 9.9,5",
        equations=(
            "q, k, v from W_ih xₜ, q and k of length 1      g = SiLU(W_g xₜ)      β = σ(W_β xₜ)",
            "Sₜ = (α Sₜ₋₁) + kᵀ β (v − k (α Sₜ₋₁))      hₜ = norm(q Sₜ) ⊙ g",
        ),
        note="what the key recalls is replaced by the new value, as far as β says; α lets all of it fade",
    ),
    "slstm": plan(
        x="0,6",
        states="c 0,0.3 10.8,0.3 | n 0,1.4 10.8,1.4 | h 0,5 10.8,2.6",
        operations="drop 2.2,0.3 × | fade 1.8,1.4 × | count 3.8,1.4 + | sum 6,0.3 + | new 6,2.6 × | show 9.4,2.6 ×",
        gates=(
            "ratio 8,2.6 c / n | f 2,3.8 σ: forget f | i 4,3.8 exp: input i | g 6,3.8 tanh: new g | "
            "o 9.4,3.8 σ: output o"
        ),
        from_both="f i g o",
        wires=(
            "c0 drop sum c1 | n0 fade count n1 | f 2.2,3 drop | f 1.8,3 fade | i 3.8,3 count | i 4.2,2.6 new | "
            "g new sum | c1 @7.8,0.3 7.8,1 ratio | n1 @8.2,1.4 8.2,2 ratio show h1 | o show"
        ),
        labels="memory 9.85,4.95 | input 9.85,5.9",
        equations=(
            "f = σ(W_f xₜ + U_f hₜ₋₁ + b_f)      i = exp(W_i xₜ + U_i hₜ₋₁ + b_i)",
            "g = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)      o = σ(W_o xₜ + U_o hₜ₋₁ + b_o)",
            "cₜ = f ⊙ cₜ₋₁ + i ⊙ g      nₜ = f ⊙ nₜ₋₁ + i      hₜ = o ⊙ cₜ / nₜ",
        ),
        note="the input gate has no upper limit, so n counts what went in; not drawn: m, which keeps both finite",
    ),
    "mlstm": plan(
        x="0,5.1",
        states="C 0,0.3 10.8,0.3 | n 0,1.4 10.8,1.4 | h 10.8,2.7",
        operations=(
            "drop 1.7,0.3 × | fade 1.3,1.4 × | count 4.6,1.4 + | sum 6.2,0.3 + | key 4.6,2.7 × | "
            "outer 6.2,2.7 kᵀ v | show 9.4,2.7 ×"
        ),
        gates=(
            "read 8,2.7 q C / q n: read | f 1.5,3.9 σ: forget f | i 3,3.9 exp: input i | k 4.6,3.9 k: key | "
            "v 6.2,3.9 v: value | q 8,3.9 q: query | o 9.4,3.9 σ: output o"
        ),
        from_x="f i k v q o",
        wires=(
            "C0 drop sum C1 | n0 fade count n1 | f 1.7,3 drop | f 1.3,3 fade | i 3,2.7 key | k key count | "
            "key outer sum | v outer | C1 @7.8,0.3 7.8,1 read | n1 @8.2,1.4 8.2,2 read | q read show h1 | o show"
        ),
        labels="input 9.7,5",
        equations=(
            "q, k, v from W_ih xₜ      f = σ(W_f xₜ + b_f)      i = exp(W_i xₜ + b_i)      o = σ(W_o xₜ + b_o)",
            "Cₜ = f Cₜ₋₁ + i kᵀ v      nₜ = f nₜ₋₁ + i k      hₜ = o ⊙ (q Cₜ) / max(|q nₜ|, 1)",
        ),
        note="an LSTM whose cell is a matrix; not drawn: m, which keeps C and n finite",
    ),
    "hgrn2": plan(
        x="0,5.1",
        states="S 0,0.3 9.2,0.3 | h 9.2,2.5",
        operations="keep 2.2,0.3 × | one 3.8,2.5 1 − | outer 5.2,2.5 kᵀ v | sum 5.2,0.3 +",
        gates="read 7.2,2.5 q S: read, norm | f 2.2,3.9 σ: forget f | v 5.2,3.9 v: value | q 7.2,3.9 q: query",
        from_x="f v q",
        wires="S0 keep sum S1 | f keep | f @2.2,2.5 one outer sum | v outer | S1 @7.2,0.3 read | q read h1",
        labels="input 7.45,5",
        equations=(
            "f = σ(W_f xₜ + b_f)      v = W_v xₜ + b_v      q = SiLU(W_q xₜ + b_q)      k = 1 − f",
            "Sₜ = diag(f) Sₜ₋₁ + kᵀ v      hₜ = norm(q Sₜ)",
        ),
        note="the forget gate is also the key: a row of S is written to as far as it is forgotten",
    ),
}
"""The plan of each rung."""
PLANS |= {"loop": PLANS["three-char"], "irnn": PLANS["rnn"]}
