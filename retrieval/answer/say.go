package answer

// Languages of what a user reads.
const (
	es = "es"
	en = "en"
)

// A phrase is one sentence for the user, by language.
type phrase map[string]string

// in returns the phrase in language.
func (p phrase) in(language string) string {
	if s, ok := p[language]; ok {
		return s
	}
	return p[es]
}

// What the user is told. noAnswer is also what the model is told to say.
var (
	noAnswer = phrase{
		es: "No encuentro la respuesta en los documentos.",
		en: "I cannot find the answer in the documents.",
	}
	warnModel = phrase{
		es: "El modelo no ha podido responder, así que se citan los pasajes: %v",
		en: "The model could not answer, so the passages are quoted: %v",
	}
	warnAway = phrase{
		es: "El servidor de modelos no está disponible, así que se citan los pasajes; `acervo doctor` dice por qué.",
		en: "The model server is not available, so the passages are quoted; `acervo doctor` says why.",
	}
	warnSilent = phrase{
		es: "El modelo no ha escrito nada, así que se citan los pasajes.",
		en: "The model wrote nothing, so the passages are quoted.",
	}
	warnUnbacked = phrase{
		es: "Lo que ha escrito el modelo no se apoya en ningún pasaje, así que no se muestra.",
		en: "What the model wrote rests on no passage, so it is not shown.",
	}
	warnQuestion = phrase{
		es: "La pregunta es demasiado larga para el modelo, así que se citan los pasajes.",
		en: "The question is too long for the model, so the passages are quoted.",
	}
	warnCut = phrase{
		es: "La respuesta está incompleta: el modelo se ha interrumpido: %v",
		en: "The answer is incomplete: the model broke off: %v",
	}
	warnLong = phrase{
		es: "La respuesta ha llegado a su longitud máxima y puede estar incompleta.",
		en: "The answer reached its greatest length and may be incomplete.",
	}
	warnUncited = phrase{
		es: "La respuesta no cita ningún pasaje: conviene comprobarla.",
		en: "The answer cites no passage: please check it.",
	}
	warnUnfounded = phrase{
		es: "Estas cifras de la respuesta no están en los pasajes: %s.",
		en: "These figures of the answer are not in the passages: %s.",
	}
	warnLeftOut = phrase{
		es: "Pasajes que no han cabido en el contexto del modelo y se han dejado fuera: %d.",
		en: "Passages that did not fit in the model's context and were left out: %d.",
	}
	warnStandIn = phrase{
		es: "Ha respondido %s en lugar de %s, que no cabe en la tarjeta gráfica de este equipo.",
		en: "%s answered in the place of %s, which does not fit on this machine's graphics card.",
	}
	warnTruncated = phrase{
		es: "El servidor del modelo ha recortado lo que se le envió: su contexto es menor que answer.context.",
		en: "The model server cut what it was sent: its context is smaller than answer.context.",
	}
)
